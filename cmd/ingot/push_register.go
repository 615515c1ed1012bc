package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ingot/store"
)

// registerFlags are those of a register; what is left out stays as it is.
type registerFlags struct {
	url, tokenFile  string
	plain           bool
	labels, columns map[string]string
	models          map[string]string
	model, hours    int
	create, assign  bool
}

func (a *app) pushRegister() *cobra.Command {
	var f registerFlags
	c := &cobra.Command{Use: "register NAME", Short: "Tell a Snipe-IT what lies on each device, or change what it is told", Args: args(cobra.ExactArgs(1)),
		Example: "ingot push register snipe --url https://assets.example --register-token-file token --label deployed=5 --column uuid=_snipeit_uuid_3\n" +
			"ingot push register snipe --label disposed=3 --assign",
		Long: "Numbers of labels and models and names of columns are other ones in every Snipe-IT: \"ingot push test NAME\" lists them. What is left out stays as it is; a label 0 or an " +
			"empty column takes one away. States: " + listed(store.DeviceStates) + ". Fields: " + listed(store.PushFields) + ".\n\nThe register wins for asset tag and owner; Ingot wins for the serial and " +
			"for the columns. With --assign a device that came back is checked in, and one that was given to somebody here is checked out, unless the register has changed meanwhile.",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(true, func(cl *client) error {
				s, err := get[store.PushStatus](c.Context(), cl, "push")
				if err != nil {
					return err
				}
				old, err := targetNamed(s, given[0])
				n := store.PushNew{Name: given[0], Kind: store.PushSnipe, URL: old.URL, Plain: old.Plain, Snipe: old.Snipe}
				if err != nil {
					n.Snipe = nil // a new one
				}
				if err := f.over(c, &n); err != nil {
					return err
				}
				if f.tokenFile != "" {
					if n.Secret, err = firstLineOf(f.tokenFile); err != nil {
						return err
					}
				}
				out, err := post[store.PushMade](c.Context(), cl, "push/targets", n)
				if err != nil {
					return err
				}
				return a.tell(out, out.Name, a.sayf("%s is told about %d devices; see \"ingot push status\"", out.Name, out.Waiting))
			})
		}}
	fl := c.Flags()
	fl.StringVar(&f.url, "url", "", "address of the register, such as https://assets.example")
	fl.StringVar(&f.tokenFile, "register-token-file", "", "file whose first line is the token that the register made for Ingot")
	fl.BoolVar(&f.plain, "plain-http", false, "http without TLS is meant: everybody on the way reads the token")
	fl.StringToStringVar(&f.labels, "label", nil, "STATE=NUMBER: the status label for a state; may be repeated")
	fl.StringToStringVar(&f.columns, "column", nil, "FIELD=COLUMN: where a field goes, as uuid=_snipeit_uuid_3 or name=name; may be repeated")
	fl.BoolVar(&f.create, "create", false, "make an asset for a device that the register does not know")
	fl.IntVar(&f.model, "model", 0, "with --create: number of the asset's model")
	fl.StringToStringVar(&f.models, "model-of", nil, "with --create: MODEL=NUMBER, as \"ThinkPad T14=7\"; may be repeated")
	fl.BoolVar(&f.assign, "assign", false, "check in what came back, and check out what was given to somebody here")
	fl.IntVar(&f.hours, "hours", 0, "compare everything every so many hours (default 24)")
	return a.outputFlag(c)
}

// listed names the values of a set.
func listed[T ~string](all []T) string {
	out := make([]string, 0, len(all))
	for _, s := range all {
		out = append(out, string(s))
	}
	return strings.Join(out, ", ")
}

// over puts the flags that were given over what is there.
func (f registerFlags) over(c *cobra.Command, n *store.PushNew) error {
	given := c.Flags().Changed
	m := store.SnipeMap{}
	if n.Snipe != nil {
		m = *n.Snipe
	}
	n.URL = cmp.Or(f.url, n.URL)
	if given("plain-http") {
		n.Plain = f.plain
	}
	if given("create") {
		m.Create = f.create
	}
	if given("assign") {
		m.Assign = f.assign
	}
	if given("model") {
		m.Model = f.model
	}
	if given("hours") {
		m.Hours = f.hours
	}
	for s, v := range f.labels {
		if err := setNumber(&m.Status, store.DeviceState(s), v, "label"); err != nil {
			return err
		}
	}
	for s, v := range f.models {
		if err := setNumber(&m.Models, s, v, "model-of"); err != nil {
			return err
		}
	}
	for s, v := range f.columns {
		if m.Columns == nil {
			m.Columns = map[store.PushField]string{}
		}
		if m.Columns[store.PushField(s)] = v; v == "" {
			delete(m.Columns, store.PushField(s))
		}
	}
	n.Snipe = &m
	return nil
}

// setNumber puts a number under a name, or takes it away with 0.
func setNumber[K ~string](m *map[K]int, name K, value, flag string) error {
	id, err := strconv.Atoi(value)
	if err != nil {
		return usage{fmt.Errorf("--%s %s=%s: the number is none", flag, string(name), value)}
	}
	if *m == nil {
		*m = map[K]int{}
	}
	if (*m)[name] = id; id == 0 {
		delete(*m, name)
	}
	return nil
}
