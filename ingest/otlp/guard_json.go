package otlp

// guardJSON refuses JSON whose brackets nest deeper than OTLP and maxNesting
// need, or that has too many objects or elements. It counts a comma as a
// number, which is what it separates at least.
func guardJSON(body []byte) error {
	const maxDepth = 16 + 4*maxNesting
	depth, objects, commas, quoted := 0, 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return errTooDeep
			}
			if c == '{' {
				objects++
			}
		case c == ',':
			commas++
		case c == '}' || c == ']':
			depth--
		}
	}
	// Most commas are those between the objects and between their fields.
	if objects > maxMessages || commas > maxMessages*numbersPerMessage {
		return errTooMany
	}
	return nil
}
