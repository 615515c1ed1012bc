package inspect

func (l *look) rpm() {}
