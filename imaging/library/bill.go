package library

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"ingot/store"
)

// Bill gives what is installed in a version as a CycloneDX bill of materials.
func (l *Library) Bill(ctx context.Context, ref string) (*cdx.BOM, error) {
	in, err := l.Inside(ctx, ref)
	if err != nil {
		return nil, err
	}
	return bill(in), nil
}

// bill makes the same bytes of the same content: its time is that of the look, and its serial number is left out.
func bill(in store.Inside) *cdx.BOM {
	c, v := in.Content, in.Version
	b := cdx.NewBOM()
	b.SpecVersion, b.JSONSchema = cdx.SpecVersion1_6, "http://cyclonedx.org/schema/bom-1.6.schema.json"
	root := v.Ref().String()
	b.Metadata = &cdx.Metadata{
		Timestamp: c.Looked.UTC().Format("2006-01-02T15:04:05Z"),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "ingot"}}},
		Component: &cdx.Component{BOMRef: root, Type: cdx.ComponentTypeContainer, Name: v.Image, Version: root,
			Description: v.Label, Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoBlake3, Value: v.Manifest.String()}}},
	}
	components := []cdx.Component{}
	if s := c.System; s.Name != "" {
		components = append(components, cdx.Component{BOMRef: "system", Type: cdx.ComponentTypeOS, Name: s.Name, Version: orBuild(s), Properties: systemProperties(c)})
	}
	for i, p := range c.Packages {
		components = append(components, cdx.Component{BOMRef: packageRef(i, p), Type: cdx.ComponentTypeApplication, Name: p.Name, Version: p.Version,
			Publisher: p.Vendor, PackageURL: packageURL(c.System, p)})
	}
	b.Components = &components
	return b
}

func orBuild(s store.System) string {
	if s.Build != "" {
		return s.Build
	}
	return s.Version
}

func systemProperties(c store.Content) *[]cdx.Property {
	var out []cdx.Property
	for _, p := range [][2]string{{"edition", c.System.Edition}, {"version", c.System.Version}, {"arch", c.System.Arch}, {"kernel", c.System.Kernel}, {"support_end", c.System.SupportEnd}} {
		if p[1] != "" {
			out = append(out, cdx.Property{Name: "ingot:" + p[0], Value: p[1]})
		}
	}
	if !c.Patched.IsZero() {
		out = append(out, cdx.Property{Name: "ingot:patched", Value: c.Patched.UTC().Format("2006-01-02")})
	}
	if len(out) == 0 {
		return nil
	}
	return &out
}

// packageRef is unique in the bill: two packages may have one purl.
func packageRef(i int, p store.Package) string {
	return strings.Join([]string{p.Kind, p.Name, p.Version, p.Arch, strconv.Itoa(i)}, "/")
}

// packageURL is the purl of a package of a distribution; Windows software has none.
func packageURL(s store.System, p store.Package) string {
	if p.Kind != "deb" && p.Kind != "rpm" || s.ID == "" {
		return ""
	}
	u := "pkg:" + p.Kind + "/" + url.PathEscape(strings.ToLower(s.ID)) + "/" + escapePurl(p.Name) + "@" + escapePurl(p.Version)
	q := url.Values{}
	if p.Arch != "" {
		q.Set("arch", p.Arch)
	}
	if s.Version != "" {
		q.Set("distro", s.ID+"-"+s.Version)
	}
	return u + "?" + q.Encode()
}

// escapePurl leaves what a purl leaves, the colon too.
func escapePurl(s string) string {
	return strings.NewReplacer("%3A", ":", "+", "%2B").Replace(url.PathEscape(s))
}
