package inspect

func (l *look) rpm()              {}
func (t *tree) windows() *volume  { return nil }
func (l *look) windows(v *volume) {}
