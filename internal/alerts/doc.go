// Package alerts watches figures on behalf of operators: rules say what is too much and for how long, an alert is one thing for which a rule
// holds (a group, a disk, a replica), and a webhook is told when an alert begins to fire and when it is over.
//
//	not true -> pending (true, but not long enough) -> firing (told) -> resolved (told) -> forgotten after a day
//
// Invariants:
//   - What is told is decided and noted in one transaction: a restart neither repeats a message that was delivered nor forgets one that
//     was not. A message that the receiver took at the moment of a kill may come twice; its id tells.
//   - A figure that is missing is no good news: an alert that fires stays until the figure comes back, or has been missing for Missing.
//   - The evaluation never waits for a webhook.
//
// docs/operations/alerts.md is for operators.
package alerts
