// Package commitlog is the one ordered log of a store: all records of all queues, in segments.
//
// Append takes batches of records that are encoded already. Whoever finds the log idle leads: it writes its own batch
// and all that queued up meanwhile with one write, then wakes the others. Only the leader knows the end of the log and
// the queues' position counters, so handing out positions, offsets and the store time needs no lock of its own.
//
// Three watermarks say how far the log got, each with one writer: Appended (readable, in the page cache), Flushed (on
// disk) and Replicated. Whoever must wait for one of the last two leaves an Await and is called back.
//
// A Scanner walks the records. The dispatcher uses it on the live log and recovery uses it to find the end of the log;
// it steps over damaged places when something valid follows and reports them as holes, and never cuts there.
//
// A write or sync that fails makes the log read-only for good: what is on disk is not known any more. A full disk is a
// state that ends by itself.
package commitlog
