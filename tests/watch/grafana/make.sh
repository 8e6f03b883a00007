#!/usr/bin/env bash
# Generates schema.json from Grafana's types (@grafana/schema, Apache-2.0). Needs npm. No build runs
# it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save @grafana/schema@12.4.0 ts-json-schema-generator@2.10.0
for panel in bargauge heatmap stat statetimeline timeseries; do # each names its types Options and FieldConfig
  sed "s/\bOptions\b\( extends\| {\|>\)/${panel^}Options\1/; s/\bFieldConfig\b\( extends\| {\|>\)/${panel^}Custom\1/" \
    "node_modules/@grafana/schema/dist/types/raw/composable/$panel/panelcfg/x/types.gen.d.ts" > "$panel.d.ts"
done
cp "$here/dashboard.ts" .
echo '{"compilerOptions": {"strict": true, "module": "esnext", "target": "es2020", "moduleResolution": "bundler", "types": []}}' > tsconfig.json
npx ts-json-schema-generator --path dashboard.ts --type Dashboard --tsconfig tsconfig.json --jsDoc none --minify -o "$here/schema.json"
