// SPDX-License-Identifier: Apache-2.0

// render_chart CHART NAMESPACE VALUES: what `helm template` prints, by the libraries that Helm is made
// of (Go templates, sprig, YAML, JSON schema), for the part of Helm that our chart uses: one chart,
// .Values, .Chart, .Release.Namespace, .Files.Get, include, toYaml, fail. Anything else is an error.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
	"github.com/xeipuuv/gojsonschema"
)

type object = map[string]interface{}

type files struct{ chart string }

// Get is empty for a file that is not there, as in Helm; here that is an error.
func (f files) Get(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(f.chart, name))
	return string(text), err
}

func readObject(path string) (object, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := object{}
	if err := yaml.UnmarshalStrict(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}

// overlay puts values over the defaults; null takes a default away.
func overlay(defaults, values object) object {
	for key, value := range values {
		below, isObject := defaults[key].(object)
		above, areBoth := value.(object)
		if value == nil {
			delete(defaults, key)
		} else if isObject && areBoth {
			defaults[key] = overlay(below, above)
		} else {
			defaults[key] = value
		}
	}
	return defaults
}

func checkSchema(path string, values object) error {
	schema, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	result, err := gojsonschema.Validate(gojsonschema.NewBytesLoader(schema),
		gojsonschema.NewGoLoader(values))
	if err != nil {
		return err
	}
	wrong := []string{}
	for _, found := range result.Errors() {
		wrong = append(wrong, found.String())
	}
	if len(wrong) > 0 {
		return errors.New("values: " + strings.Join(wrong, "; "))
	}
	return nil
}

func functions(all *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	known["include"] = func(name string, data interface{}) (string, error) {
		var text bytes.Buffer
		err := all.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	known["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	return known
}

func render(chart, namespace, valuesFile string) (string, error) {
	about, err := readObject(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		return "", err
	}
	values, err := readObject(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return "", err
	}
	given, err := readObject(valuesFile)
	if err != nil {
		return "", err
	}
	values = overlay(values, given)
	if err := checkSchema(filepath.Join(chart, "values.schema.json"), values); err != nil {
		return "", err
	}
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	if _, err := all.ParseGlob(filepath.Join(chart, "templates", "*")); err != nil {
		return "", err
	}
	data := object{"Values": values, "Release": object{"Namespace": namespace},
		"Chart": object{"AppVersion": about["appVersion"]}, "Files": files{chart}}
	var text bytes.Buffer
	manifests, err := filepath.Glob(filepath.Join(chart, "templates", "*.yaml"))
	for _, manifest := range manifests {
		text.WriteString("\n---\n")
		if err := all.ExecuteTemplate(&text, filepath.Base(manifest), data); err != nil {
			return "", err
		}
	}
	return text.String(), err
}

func main() {
	text, err := render(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(text)
}
