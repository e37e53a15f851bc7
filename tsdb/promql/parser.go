package promql

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"signalbox/internal/fault"
)

// maxNesting is how deep an expression may nest. Pretty-printing indents by
// depth, so its output grows with the square of this.
const maxNesting = 2000

// maxLevels is how many brackets and operators a text may have. The parser asks
// each level for its type through all levels below, so its time grows with the
// square of this, and nothing can interrupt it.
const maxLevels = 5000

// NewParser makes the parser that Config asks for: Prometheus', with bounds on
// the length and the nesting of what it accepts. It is safe for concurrent use.
func NewParser(cfg Config) parser.Parser {
	return &boundedParser{
		Parser: parser.NewParser(parser.Options{
			EnableExperimentalFunctions:  cfg.Experimental,
			ExperimentalDurationExpr:     true,
			EnableExtendedRangeSelectors: cfg.Experimental,
			EnableBinopFillModifiers:     cfg.Experimental,
		}),
		maxBytes: cfg.MaxQueryBytes,
	}
}

type boundedParser struct {
	parser.Parser
	maxBytes int
}

// fits checks what must be known before the parser runs.
func (p *boundedParser) fits(input string) error {
	if len(input) > p.maxBytes {
		return fault.Refuse(reasonMaxQueryBytes, "the query has %d bytes, query.max_query_bytes is %d", len(input), p.maxBytes)
	}
	if len(input) <= maxLevels {
		return nil
	}
	levels := 0
	lexer := parser.Lex(input)
	for {
		var item parser.Item
		lexer.NextItem(&item)
		switch {
		case item.Typ == parser.EOF, item.Typ == parser.ERROR:
			return nil // the parser says what is wrong
		case item.Typ == parser.LEFT_PAREN, item.Typ == parser.LEFT_BRACKET, item.Typ.IsOperator():
			levels++
		}
		if levels > maxLevels {
			return fault.Refuse(reasonNesting, "the query has more than %d operators and brackets", maxLevels)
		}
	}
}

func (p *boundedParser) ParseExpr(input string) (parser.Expr, error) {
	if err := p.fits(input); err != nil {
		return nil, err
	}
	expr, err := p.Parser.ParseExpr(input)
	if err != nil {
		return expr, err
	}
	// An expression cannot nest deeper than it has bytes.
	if len(input) > maxNesting && nesting(expr, 0) > maxNesting {
		return nil, fault.Refuse(reasonNesting, "the query nests deeper than %d levels", maxNesting)
	}
	return expr, nil
}

// nesting returns the depth of node, or some number above maxNesting.
func nesting(node parser.Node, depth int) int {
	deepest := depth
	if depth > maxNesting {
		return deepest
	}
	for child := range parser.ChildrenIter(node) {
		deepest = max(deepest, nesting(child, depth+1))
	}
	return deepest
}

func (p *boundedParser) ParseMetric(input string) (labels.Labels, error) {
	if err := p.fits(input); err != nil {
		return labels.EmptyLabels(), err
	}
	return p.Parser.ParseMetric(input)
}

func (p *boundedParser) ParseMetricSelector(input string) ([]*labels.Matcher, error) {
	if err := p.fits(input); err != nil {
		return nil, err
	}
	return p.Parser.ParseMetricSelector(input)
}

func (p *boundedParser) ParseMetricSelectors(matchers []string) ([][]*labels.Matcher, error) {
	for _, m := range matchers {
		if err := p.fits(m); err != nil {
			return nil, err
		}
	}
	return p.Parser.ParseMetricSelectors(matchers)
}
