package push

import (
	"net/http"
	"time"
)

// JudgeSnipe decodes an asset out of an answer of a register, as call does.
func JudgeSnipe(status int, body []byte) (serial string, fields int, err error) {
	var a asset
	err = judgeSnipe("assets.example", answer{status: status, header: http.Header{}, body: body}, &a, time.Now())
	return string(a.Serial), len(a.Custom), err
}

// HoldCSV lets each writing of devices.csv tell that it began, and wait until it may go on.
func (p *Pusher) HoldCSV(began, on chan struct{}) {
	p.write = func(path string) error {
		began <- struct{}{}
		<-on
		return p.writeFile(path)
	}
}
