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
