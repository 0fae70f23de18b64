// Package record is one message as it is stored and sent: Apache RocketMQ's record of the commit log, which is also what
// a consumer receives (storage spec 2, remoting spec 3). It has the layout, the raw properties, the checksums, the ids
// and the body of a batch, and nothing that knows files, sockets or topics' meaning.
//
// All integers are big-endian and signed. Records are packed without alignment:
//
//	offset  length  field
//	     0       4  total size
//	     4       4  magic: MagicV1, MagicV2, or MagicBlank at the end of a file
//	     8       4  CRC of the body as stored, top bit cleared
//	    12       4  queue id
//	    16       4  flag of the user
//	    20       8  index: position in the queue
//	    28       8  offset: position in the log
//	    36       4  system flag
//	    40       8  born time, ms
//	    48    8/20  born host: 4 or 16 bytes of address, port in 4; 20 with SysFlagBornV6
//	  56/68       8  store time, ms
//	    +8    8/20  store host; 20 with SysFlagStoreV6
//	            4  times that it was consumed again
//	            8  offset of the prepared transaction
//	        4 + n  body
//	      1/2 + n  topic; the length is 1 byte in V1 and 2 in V2
//	        2 + n  properties: name 0x01 value 0x02 ...
//
// Invariants:
//   - Decoding never panics, never allocates and keeps references into its source: what it returns is valid as long
//     as the source is unchanged.
//   - Encoding allocates only when the destination is too small. It writes what Java writes, byte for byte; the golden
//     files in testdata/java are made by the Java classes (test/golden).
//   - Properties stay bytes in the producer's order. They are never sorted and never made a map.
//
// Life of a record: AppendTo before the append lock, Patch inside it (index, offset, store time), SealCRC after that
// when the record has a property CRC.
package record
