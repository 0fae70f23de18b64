// Package generate makes the parts of docs/ that follow from the code: the table of request codes, the list of what
// differs from Java on purpose, the table of configuration keys and the help of the commands. `make docs` writes them,
// a test in test/docs compares.
//
// A part stands between two lines in a Markdown file, which stay:
//
//	<!-- generated: NAME -->
//	<!-- end of NAME -->
package generate
