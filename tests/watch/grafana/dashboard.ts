// The type of a dashboard, for make.sh: Grafana's own types, but with the options of each kind of
// panel instead of "any".
import * as dashboard from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as bargauge from './bargauge';
import * as heatmap from './heatmap';
import * as stat from './stat';
import * as statetimeline from './statetimeline';
import * as timeseries from './timeseries';

/** A query of the Prometheus data source. It is a plugin, whose types are not in this package. */
interface PromQuery {
  refId: string;
  expr: string;
  datasource: dashboard.DataSourceRef;
  legendFormat?: string;
  range?: boolean;
  instant?: boolean;
  interval?: string;
  format?: 'time_series' | 'table' | 'heatmap';
}

interface None {}

type Replaced = 'type' | 'id' | 'title' | 'description' | 'datasource' | 'gridPos' | 'options' | 'targets' | 'fieldConfig';

interface Of<Type extends string, Options, Custom> extends Omit<dashboard.Panel, Replaced> {
  type: Type;
  id: number;
  title: string;
  description: string;
  datasource: dashboard.DataSourceRef;
  gridPos: dashboard.GridPos;
  options: Options;
  targets: PromQuery[];
  fieldConfig: {
    defaults: Omit<dashboard.FieldConfig, 'custom'> & { custom?: Custom };
    overrides: dashboard.FieldConfigSource['overrides'];
  };
}

type Panel =
  | Of<'timeseries', timeseries.TimeseriesOptions, timeseries.TimeseriesCustom>
  | Of<'stat', stat.StatOptions, None>
  | Of<'bargauge', bargauge.BargaugeOptions, None>
  | Of<'state-timeline', statetimeline.StatetimelineOptions, statetimeline.StatetimelineCustom>
  | Of<'heatmap', heatmap.HeatmapOptions, heatmap.HeatmapCustom>;

interface Row extends Omit<dashboard.RowPanel, 'panels'> {
  panels: Panel[];
}

/** An annotation, with the fields that the Prometheus data source reads to show it. */
interface Annotation extends Omit<dashboard.AnnotationQuery, 'target'> {
  target: PromQuery;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
}

/** A variable, with the fields that Grafana's editor (definition) and its SDK (auto...) add. */
interface Variable extends dashboard.VariableModel {
  definition?: string;
  auto?: boolean;
  auto_min?: string;
  auto_count?: number;
}

export interface Dashboard extends Omit<dashboard.Dashboard, 'panels' | 'annotations' | 'templating'> {
  panels: (Panel | Row)[];
  annotations: { list: Annotation[] };
  templating: { list: Variable[] };
}
