// Package docs keeps the documentation true: links lead somewhere, files, functions and locks that it names exist, and the
// parts that are made from the code (package generate, `make docs`) are current.
package docs
