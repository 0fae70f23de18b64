package jmsselector

import (
	"errors"
	"strings"
	"testing"
)

var message = map[string]Value{
	"JMSPriority": {Kind: Int, Int: 4}, "JMSType": {Kind: String, Text: "car"}, "color": {Kind: String, Text: "blue"},
	"weight": {Kind: Int, Int: 2600}, "price": {Kind: Float, Num: 9.5}, "new": BoolOf(true), "quote": {Kind: String, Text: "it's 100%"},
	"zero": {Kind: Int}, "under_score": {Kind: String, Text: "a_b"}, "$x.y": {Kind: String, Text: "dots"}, "many": {Kind: String, Text: strings.Repeat("a", 5000)},
}

func lookup(name string) Value { return message[name] }

func TestSelectors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"JMSType = 'car' AND color = 'blue' AND weight > 2500": true,
		"color = 'red'":                      false,
		"color <> 'red'":                     true,
		"missing = 'x'":                      false,
		"NOT (missing = 'x')":                false,
		"missing IS NULL":                    true,
		"color IS NOT NULL":                  true,
		"color is null":                      false,
		"missing = 'x' OR new":               true,
		"missing = 'x' AND FALSE OR TRUE":    true,
		"new = TRUE":                         true,
		"new <> true":                        false,
		"new":                                true,
		"NOT new":                            false,
		"color":                              false,
		"weight BETWEEN 2600 AND 2600":       true,
		"weight NOT BETWEEN 1 AND 10":        true,
		"missing NOT BETWEEN 1 AND 10":       false,
		"color IN ('red', 'blue')":           true,
		"color NOT IN ('red', 'blue')":       false,
		"missing NOT IN ('red')":             false,
		"quote = 'it''s 100%'":               true,
		"quote LIKE '%100\\%' ESCAPE '\\'":   true,
		"color LIKE 'b_ue'":                  true,
		"color LIKE 'b_e'":                   false,
		"color NOT LIKE 'r%'":                true,
		"under_score LIKE 'a!_b' ESCAPE '!'": true,
		"color LIKE 'a!_b' ESCAPE '!'":       false,
		"missing NOT LIKE 'x'":               false,
		"weight LIKE '2600'":                 false,
		"color = weight":                     false,
		"weight = 2600.0":                    true,
		"weight / 1000 = 2":                  true,
		"weight / 1000.0 = 2.6":              true,
		"weight / zero = 1":                  false,
		"weight / zero IS NULL OR TRUE":      false, // not a name: an error, see below
		"-weight = -2600":                    true,
		"1 + 2 * 3 = 7":                      true,
		"(1 + 2) * 3 = 9":                    true,
		"10 - 4 - 3 = 3":                     true,
		"price = 9.5 AND price = 95E-1 AND price = 9.5f AND price > .5 AND price > 7.": true,
		"weight = 0xA28 AND weight = 2600L":                                            true,
		"$x.y = 'dots'":                                                                true,
		"color = 'blue' or color = 'red' and false":                                    true,
		"not color = 'red'":                                                            true,
		"JMSPriority >= 4":                                                             true,
	} {
		s, err := Parse(text)
		if strings.Contains(text, "zero IS NULL") {
			if err == nil {
				t.Errorf("%s is taken", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.Matches(lookup); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestSelectorsThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "1", "1 + 1", "'x'", "color =", "= 1", "color = 'x", "color == 'x'", "color LIKE 5", "color LIKE 'x' ESCAPE 'ab'",
		"color LIKE 'x!' ESCAPE '!'", "color IN ()", "color IN ('a'", "color IN (1)", "'a' IN ('a')", "1 LIKE '1'", "color BETWEEN 1",
		"'a' BETWEEN 1 AND 2", "NOT", "AND", "a AND", "a OR OR b", "(a", "a)", "a b", "12a = 1", "0x = 1", "1e = 1", "a = 'b' c = 'd'",
		"color > 'a'", "new < TRUE", "1 = '1'", "TRUE = 1", "'a' + 1 = 2", "-'a' = 1", "a IS", "a IS NOT", "NULL", "a = NULL", "a & b", "a = \"b\"",
		"99999999999999999999 = 1", "a NOT = 1", strings.Repeat("(", 300) + "a" + strings.Repeat(")", 300), strings.Repeat("NOT ", 300) + "a",
		strings.Repeat("-", 300) + "1 = 1", "a = '" + strings.Repeat("x", maxText) + "'", "a = '\xff'", "TRUE AND 1", "1 OR TRUE", "NOT 1",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%.40q is taken", text)
		} else if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%.40q: %T", text, err)
		}
	}
}

// A pattern with many wildcards costs no more than the product of the lengths.
func TestLikeIsNotSlow(t *testing.T) {
	t.Parallel()
	s, err := Parse("many LIKE '" + strings.Repeat("a%", 2000) + "b'")
	if err != nil {
		t.Fatal(err)
	}
	if s.Matches(lookup) {
		t.Error("there is no b")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a = 'b' AND NOT c IN ('d') OR e BETWEEN -1 AND .5E3", "x LIKE 'a!%' ESCAPE '!'", "0x1 / y IS NULL"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err == nil {
			s.Matches(lookup)
			if s.String() != text {
				t.Error("another text")
			}
		}
	})
}
