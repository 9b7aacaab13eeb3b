package config

// Read returns the names of the settings that are read into a system.
func Read(settings map[string]string) map[string]bool {
	read := map[string]bool{}
	r := &reader{getenv: func(name string) string { read[name] = true; return settings[name] }}
	r.system(nil)
	return read
}
