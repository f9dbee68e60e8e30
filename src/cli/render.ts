/** Rows and runs as text for people. Pure. */
import { stringify } from 'yaml';
import { z } from 'zod';
import type { UndoItem } from '../engine/rollback.ts';
import type { RunView } from '../engine/view.ts';

/** Columns as wide as their widest cell; `(none)` for no rows. */
export function table<K extends string>(rows: readonly Record<K, unknown>[], columns: readonly K[]): string {
  if (rows.length === 0) return '(none)';
  const cells = [columns.map((column) => column.toUpperCase()), ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value).replaceAll('\n', ' ');
}

/** Where a run stands: the same facts as an agent gets. */
export function runText(view: RunView): string {
  const step = view.step === undefined ? '' : `, step ${view.step} of ${view.steps ?? '?'}`;
  const lines = [
    `${view.name} (${view.runId})`,
    `  ${view.workflow}: ${view.title || view.state}${step}`,
    `  state ${view.state}, ${view.status}, version ${view.version}`,
  ];
  if (view.error) lines.push(`  ${view.error.code}: ${view.error.message}`, ...(view.error.fix ? [`  ${view.error.fix}`] : []));
  for (const { title, progress } of view.working) lines.push(`  working: ${title}${progress ? `: ${progress.say}` : ''}`);
  for (const { code, say } of view.warnings) lines.push(`  ${code}: ${say}`);
  for (const { event, title, confirm } of view.waitingFor) lines.push(`  ${event}: ${title}${confirm ? ' (needs approval)' : ''}`);
  if (view.checkpoints.length > 0) lines.push(`  checkpoints: ${view.checkpoints.map((row) => `${row.to} (${row.name})`).join(', ')}`);
  if (view.output !== undefined) lines.push('  output:', indented(view.output));
  return [...lines, `  next: ${view.next.say}`].join('\n');
}

/** Nested facts as YAML, which people read more easily than JSON. */
export function indented(value: unknown): string {
  return stringify(value, { lineWidth: 0 }).trimEnd().replaceAll(/^/gm, '    ');
}

const planShape = z.object({
  url: z.string().optional(),
  summary: z.array(z.object({ variable: z.string(), change: z.string(), shown: z.string() })).optional(),
  patches: z.array(z.string()).optional(),
  findings: z.array(z.object({ severity: z.string(), code: z.string(), say: z.string() })).optional(),
  /** Of SQL: which kinds of statement, and how often. */
  classes: z.array(z.object({ class: z.string(), count: z.number() })).optional(),
  notes: z.array(z.string()).optional(),
  /** Of a change of a running instance. */
  say: z.string().optional(),
  changes: z.array(z.object({ what: z.string(), name: z.string(), before: z.string(), after: z.string(), why: z.string() })).optional(),
  recreated: z.array(z.string()).optional(),
  databaseRestarts: z.boolean().optional(),
  writes: z.array(z.string()).optional(),
  warnings: z.array(z.object({ code: z.string(), say: z.string() })).optional(),
  /** Of a restart. */
  containers: z.array(z.object({ service: z.string(), container: z.string(), state: z.string() })).optional(),
  /** Of a removal. */
  data: z.object({ tables: z.number(), users: z.number(), objects: z.number() }).nullish(),
  backup: z.object({ id: z.string(), madeAt: z.string(), verifiedAt: z.string() }).nullish(),
});
type Plan = z.infer<typeof planShape>;

/** The masked plan among a run's details, or nothing. */
export function planText(details: Record<string, unknown>): string {
  const plan = planShape.safeParse(details['plan']);
  if (!plan.success) return details['plan'] === undefined ? '' : JSON.stringify(details['plan'], null, 2);
  const { url, summary = [], patches = [], findings = [], classes = [], notes = [] } = plan.data;
  return [
    ...(url === undefined ? [] : [`Address: ${url}`]),
    ...(summary.length > 0 ? [table(summary, ['variable', 'change', 'shown'])] : []),
    ...patches.map((patch) => `Patched: ${patch}`),
    ...findings.map((finding) => `${finding.severity} ${finding.code}: ${finding.say}`),
    ...(classes.length > 0 ? [`Statements: ${classes.map((each) => `${each.count} ${each.class}`).join(', ')}`] : []),
    ...changeLines(plan.data),
    ...notes,
  ].join('\n');
}

/** What the person at the terminal must see of a change, a restart or a removal before typing a name. */
function changeLines({
  say,
  changes = [],
  recreated,
  databaseRestarts,
  writes = [],
  warnings = [],
  containers = [],
  data,
  backup,
}: Plan): string[] {
  return [
    ...(say === undefined || say === '' ? [] : [say]),
    ...(changes.length > 0 ? [table(changes, ['what', 'name', 'before', 'after', 'why'])] : []),
    ...(containers.length > 0 ? [table(containers, ['service', 'container', 'state'])] : []),
    ...(recreated === undefined ? [] : [`Containers made anew: ${recreated.length === 0 ? 'none is known' : recreated.join(', ')}.`]),
    ...(recreated === undefined || databaseRestarts === undefined
      ? []
      : [`The database ${databaseRestarts ? 'restarts' : 'is not among them'}.`]),
    ...(data ? [`It holds ${data.tables} tables, ${data.users} users and ${data.objects} stored objects.`] : []),
    ...(backup ? [`Newest backup that was found whole: ${backup.id}, made ${backup.madeAt}, verified ${backup.verifiedAt}.`] : []),
    ...writes.map((write) => `Then: ${write}`),
    ...warnings.map((warning) => `${warning.code}: ${warning.say}`),
  ];
}

export function undoText(items: readonly UndoItem[]): string {
  if (items.length === 0) return 'Nothing outside has to be taken back.';
  return items
    .map(
      ({ title, how, leaves }) =>
        `  ${how === 'leaves' ? 'stays' : how === 'ifItLands' ? 'taken back if it lands' : 'taken back'}: ${title}${leaves ? ` (${leaves})` : ''}`,
    )
    .join('\n');
}
