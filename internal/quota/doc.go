// Package quota bounds how many bytes and messages a second topics, users and clients may send.
//
// A Rule names whom it is for and how much. A Table keeps a Subject for everybody to whom a rule applies, with one bucket for bytes and
// one for messages. Who sends asks all of them first (Refuses) and then pays all of them (Take), so that what one quota refuses costs
// nobody else anything.
//
// A bucket is the time at which all that was taken is paid for, one atomic number: who comes before that waits for it, up to the table's
// delay, and is refused beyond. An idle bucket saves up Burst. So in any span of time no more than the rate, Burst, the delay and one
// request go through.
//
// Without rules a table costs one atomic load. The number of subjects is bounded.
//
// Callers: internal/broker for what is sent, internal/node for the rules, internal/config to check them.
package quota
