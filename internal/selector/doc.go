// Package selector parses what a consumer asks for and matches messages with it.
//
// A TAG expression is "*" or a list "a || b". The broker compares only the 32-bit Java hash of a message's TAGS, which
// stands in the consume queue, with the hashes of the wanted tags; the client compares the words themselves again. So a
// message that is let through for nothing is harmless and one that is held back is lost: nothing here may ever reject a
// message whose tag is in the list.
//
// SQL92 expressions are recognised by IsTag alone; who does not support them refuses the subscription.
package selector
