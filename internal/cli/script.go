package cli

import "strings"

// parseScript splits a script into commands. What the shell cannot do is an errShell, before anything is done.
func parseScript(script string) ([]step, error) {
	p := &scriptParser{in: script}
	for p.at < len(p.in) {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	p.endStep(false)
	return p.steps, nil
}

type scriptParser struct {
	in    string
	at    int
	steps []step
	words [][]piece
	word  []piece
	open  bool // word has begun
}

func (p *scriptParser) next() error {
	switch c := p.in[p.at]; c {
	case ' ', '\t', '\r':
		p.endWord()
		p.at++
	case ';', '\n':
		p.endStep(false)
		p.at++
	case '#':
		if p.open {
			p.text("#", false)
			p.at++
			break
		}
		if n := strings.IndexByte(p.in[p.at:], '\n'); n >= 0 {
			p.at += n
		} else {
			p.at = len(p.in)
		}
	case '&':
		if !strings.HasPrefix(p.in[p.at:], "&&") {
			return errShell{"a command in the background"}
		}
		p.endStep(true)
		p.at += 2
	case '\'':
		end := strings.IndexByte(p.in[p.at+1:], '\'')
		if end < 0 {
			return errShell{"a quote without an end"}
		}
		p.text(p.in[p.at+1:p.at+1+end], true)
		p.at += end + 2
	case '"':
		return p.quoted()
	case '\\':
		if p.at+1 < len(p.in) && p.in[p.at+1] != '\n' {
			p.text(p.in[p.at+1:p.at+2], true)
		}
		p.at = min(p.at+2, len(p.in))
	case '$':
		return p.variable(false)
	case '>', '<':
		return p.redirection()
	case '|', '(', ')', '`', '*', '?', '[', '{', '}':
		return errShell{"the character " + string(c)}
	default:
		p.text(p.in[p.at:p.at+1], false)
		p.at++
	}
	return nil
}

func (p *scriptParser) text(s string, quoted bool) {
	p.open = true
	if n := len(p.word); n > 0 && !p.word[n-1].variable && p.word[n-1].quoted == quoted {
		p.word[n-1].text += s
		return
	}
	p.word = append(p.word, piece{text: s, quoted: quoted})
}

func (p *scriptParser) endWord() {
	if p.open {
		p.words = append(p.words, p.word)
	}
	p.word, p.open = nil, false
}

func (p *scriptParser) endStep(and bool) {
	p.endWord()
	if len(p.words) > 0 {
		p.steps = append(p.steps, step{p.words, and})
	}
	p.words = nil
}

// quoted reads a part in double quotes.
func (p *scriptParser) quoted() error {
	p.text("", true)
	for p.at++; p.at < len(p.in); {
		switch c := p.in[p.at]; c {
		case '"':
			p.at++
			return nil
		case '`':
			return errShell{"a command within a command"}
		case '$':
			if err := p.variable(true); err != nil {
				return err
			}
		case '\\':
			if p.at+1 < len(p.in) && strings.IndexByte("\"\\$`", p.in[p.at+1]) >= 0 {
				p.at++
			}
			p.text(p.in[p.at:p.at+1], true)
			p.at++
		default:
			p.text(string(c), true)
			p.at++
		}
	}
	return errShell{"a quote without an end"}
}

// variable reads $NAME, $(NAME) as Kubernetes leaves it when it does not know NAME, ${NAME} and ${NAME:-else}.
func (p *scriptParser) variable(quoted bool) error {
	rest := p.in[p.at+1:]
	v := piece{variable: true, quoted: quoted}
	switch {
	case strings.HasPrefix(rest, "{"):
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return errShell{"${ without an end"}
		}
		v.text, v.fallback, v.hasElse = strings.Cut(rest[1:end], ":-")
		if !isName(v.text) || strings.Contains(v.fallback, "$") {
			return errShell{"$" + rest[:end+1]}
		}
		p.at += end + 2
	case strings.HasPrefix(rest, "("):
		return errShell{"a command within a command"}
	default:
		n := 0
		for n < len(rest) && isName(rest[:n+1]) {
			n++
		}
		if n == 0 {
			if rest != "" && rest[0] != ' ' && rest[0] != '"' {
				return errShell{"$" + rest[:1]}
			}
			p.text("$", quoted)
			p.at++
			return nil
		}
		v.text = rest[:n]
		p.at += n + 1
	}
	p.open = true
	p.word = append(p.word, v)
	return nil
}

// redirection drops one: what a program says goes to where the container's output goes.
func (p *scriptParser) redirection() error {
	if n := len(p.word); p.open && n == 1 && (p.word[0].text == "1" || p.word[0].text == "2") && !p.word[0].quoted {
		p.word, p.open = nil, false // the number before it
	}
	p.endWord()
	p.at += len(p.in[p.at:]) - len(strings.TrimLeft(p.in[p.at:], "><& \t"))
	before := len(p.words)
	for p.at < len(p.in) && len(p.words) == before && !strings.ContainsRune(" \t\n;&", rune(p.in[p.at])) {
		if err := p.next(); err != nil {
			return err
		}
	}
	p.word, p.open = nil, false
	return nil
}
