package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"ingot/imaging/job"
	"ingot/pxe"
)

const (
	defaultConfig = "/etc/ingot/ingot.toml"
	defaultData   = "/var/lib/ingot"
)

// config is the configuration file. A key that is not listed here is refused: a typing mistake must not pass
// for a setting.
type config struct {
	Data  string     `toml:"data"` // data folder
	Boot  pxe.Config `toml:"boot"`
	Agent struct {
		Port      int    `toml:"port"`      // TCP, default 8443
		Advertise string `toml:"advertise"` // address under which deployed systems find us; default: the first interface's
	} `toml:"agent"`
	Pages struct {
		URL string `toml:"url"` // where a failure's QR code leads
	} `toml:"pages"`
	Log struct {
		Level string `toml:"level"` // debug, info (default), warn, error
	} `toml:"log"`
}

// loadConfig reads the file and applies the defaults. Without --config an absent file is an empty one.
func (a *app) loadConfig() (config, error) {
	var c config
	path := a.config
	if path == "" {
		path = defaultConfig
	}
	meta, err := toml.DecodeFile(path, &c)
	switch {
	case errors.Is(err, os.ErrNotExist) && a.config == "":
	case err != nil:
		return c, usage{job.Faultf(job.CodeBadRequest, "The configuration %s: %s.", path, strings.TrimPrefix(err.Error(), "toml: "))}
	}
	if odd := meta.Undecoded(); len(odd) > 0 {
		return c, usage{job.Faultf(job.CodeBadRequest, "The configuration %s holds the unknown key %q.", path, odd[0].String())}
	}
	if a.data != "" {
		c.Data = a.data
	}
	if c.Data == "" {
		c.Data = defaultData
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return c, fmt.Errorf("data folder: %w", err)
	}
	if c.Agent.Port == 0 {
		c.Agent.Port = 8443
	}
	return c, nil
}
