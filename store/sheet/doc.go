// Package sheet carries tables to and from people's spreadsheets, as CSV.
//
// The idea: a spreadsheet runs what looks like a formula, and what laptops and files tell may look like one. So Write
// makes every text harmless (Neutral) and quotes it, whatever it holds; numbers and times, which we made ourselves,
// stay plain. Read takes what spreadsheets and suppliers save: commas, semicolons or tabs, any line ends, with or
// without a byte order mark, headings in any order and case. It names each bad line.
//
// What Write writes is RFC 4180 in UTF-8: lines end in CR LF, the first one names the columns, times are ISO 8601 in
// UTC. Who wants the exact text takes the JSON: here a formula has an apostrophe in front, and control characters,
// and marks that turn the direction of writing, are replaced by U+FFFD.
package sheet
