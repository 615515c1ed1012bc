package firmware

// What the tests of the public API need to know of the tables and of the parser of strange bytes.
var (
	Stage1Modules = stage1Modules
	Stage2Modules = stage2Modules
)

// ParseModuleInfo gives the fields that are read from a module's bytes.
func ParseModuleInfo(file string, raw []byte) (name string, depends, aliases []string, err error) {
	m, err := parseModule(file, raw)
	return m.name, m.depends, m.aliases, err
}
