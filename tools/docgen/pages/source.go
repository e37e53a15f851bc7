package pages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
)

// module is the path that the packages of root are imported under.
const module = "signalbox"

// sources finds the comment of a struct's field in the sources of its package.
type sources struct {
	root string
	pkgs map[string]map[string]string // package path → "Type.Field" → sentence
}

func (s *sources) sentence(t reflect.Type, fieldName string) (string, error) {
	docs, ok := s.pkgs[t.PkgPath()]
	if !ok {
		var err error
		if docs, err = s.read(t.PkgPath()); err != nil {
			return "", err
		}
		if s.pkgs == nil {
			s.pkgs = map[string]map[string]string{}
		}
		s.pkgs[t.PkgPath()] = docs
	}
	text := docs[t.Name()+"."+fieldName]
	if text == "" {
		return "", fmt.Errorf("%s.%s.%s has no comment", t.PkgPath(), t.Name(), fieldName)
	}
	return text, nil
}

func (s *sources) read(pkg string) (map[string]string, error) {
	rel, ok := strings.CutPrefix(pkg, module+"/")
	if !ok {
		return nil, fmt.Errorf("package %s is not part of this module", pkg)
	}
	files, err := filepath.Glob(filepath.Join(s.root, filepath.FromSlash(rel), "*.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", rel, fs.ErrNotExist)
	}
	docs := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := ts.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, id := range field.Names {
						docs[ts.Name.Name+"."+id.Name] = comment(id.Name, field)
					}
				}
			}
			return false
		})
	}
	return docs, nil
}

// comment is a field's comment in one line. A comment that starts with the
// field's Go name ("Listen is the address …") loses it: readers know the key.
func comment(name string, f *ast.Field) string {
	text := f.Doc.Text()
	if text == "" {
		text = f.Comment.Text()
	}
	text = strings.Join(strings.Fields(text), " ")
	for _, verb := range []string{" is ", " are ", " stays ", " says "} {
		rest, ok := strings.CutPrefix(text, name+verb)
		if !ok {
			continue
		}
		if verb == " stays " || verb == " says " {
			rest = verb[1:] + rest
		}
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return text
}
