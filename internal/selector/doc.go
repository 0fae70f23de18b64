// Package selector parses what a consumer asks for and matches messages with it.
//
// A TAG expression is "*" or a list "a || b". The broker compares only the 32-bit Java hash of a message's TAGS, which
// stands in the consume queue, with the hashes of the wanted tags; the client compares the words themselves again. So a
// message that is let through for nothing is harmless and one that is held back is lost: nothing here may ever reject a
// message whose tag is in the list.
//
// A SQL92 expression is a condition on the properties of a message ("region = 'eu' AND count > 2"). Its oracle is the filter
// module of Java RocketMQ, with its quirks: what stands behind a complete expression is ignored, NOT binds closer than a
// comparison, a property is text and becomes a number where it is compared with one, and a text that is none ends the
// evaluation. A missing property is null; only true matches.
//
//	filter.go     Filter, what both kinds have in common
//	tags.go       TAG expressions
//	sql_lex.go    tokens, places in messages; sql_parse.go a Pratt parser with Java's error texts; sql_tree.go nodes
//	sql_eval.go   evaluation straight on the stored properties, without an allocation; sql_num.go Java's numbers
package selector
