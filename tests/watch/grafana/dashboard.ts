// What a dashboard may hold, for make.sh: Grafana's own types, with each kind of panel's own options instead of "anything".
import * as dashboard from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as bargauge from './bargauge';
import * as heatmap from './heatmap';
import * as stat from './stat';
import * as statetimeline from './statetimeline';
import * as timeseries from './timeseries';

/** Of the Prometheus data source, a plugin whose types are elsewhere. */
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

/** With how Prometheus' annotations are shown, which the data source reads. */
interface Annotation extends Omit<dashboard.AnnotationQuery, 'target'> {
  target: PromQuery;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
}

/** With what Grafana's editor (definition) and its SDK (auto...) write beside. */
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
