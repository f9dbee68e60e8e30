/** Any plain facts as HTML: objects as lists of terms, rows as tables. Everything is escaped, hidden characters are spelled out. */
import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** Nothing deeper than this is laid out; it is shown as JSON. */
const maxDepth = 4;
const maxRows = 200;
/** Rows with more columns than fit side by side are shown one below the other. */
const widest = 4;

/** A plan, each of its parts under a heading of its own: what is plain first, then lists and tables in full width. */
export function sections(value: unknown): Html {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return facts(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined && each !== null && !isEmpty(each));
  const plain = entries.filter(([, each]) => typeof each !== 'object');
  const parts = entries.filter(([, each]) => typeof each === 'object');
  return html`${facts(Object.fromEntries(plain))}${parts.map(([key, each]) => html`<h3>${spaced(key)}</h3>${facts(each, 1)}`)}`;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

export function facts(value: unknown, depth = 0): Html {
  if (typeof value === 'string') return html`<span class="text">${value}</span>`;
  if (typeof value !== 'object' || value === null) return html`<span class="text">${String(value ?? 'none')}</span>`;
  if (depth >= maxDepth) return html`<code>${JSON.stringify(value)}</code>`;
  if (Array.isArray(value)) return list(value, depth);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined && each !== null);
  return html`<dl>${entries.map(([key, each]) => html`<div><dt>${spaced(key)}</dt><dd>${facts(each, depth + 1)}</dd></div>`)}</dl>`;
}

function list(rows: readonly unknown[], depth: number): Html {
  if (rows.length === 0) return html`<span class="text">none</span>`;
  if (rows.every((row) => typeof row === 'string' && row.length <= 24))
    return html`<p>${rows.map((row) => html`<code>${row}</code> `)}</p>`;
  const shown = rows.slice(0, maxRows);
  const more = rows.length > maxRows ? html`<p class="quiet">and ${rows.length - maxRows} more</p>` : html``;
  const columns = columnsOf(shown);
  if (columns && columns.length > widest) return html`${shown.map((row) => html`<div class="card">${facts(row, depth + 1)}</div>`)}${more}`;
  if (!columns) return html`<ul>${shown.map((row) => html`<li>${facts(row, depth + 1)}</li>`)}</ul>${more}`;
  return html`<div class="scroll"><table>
<thead><tr>${columns.map((column) => html`<th scope="col">${spaced(column)}</th>`)}</tr></thead>
<tbody>${shown.map((row) => html`<tr>${columns.map((column) => html`<td>${cell(row, column)}</td>`)}</tr>`)}</tbody>
</table></div>${more}`;
}

/** The columns of rows that are flat objects, or undefined for anything else. */
function columnsOf(rows: readonly unknown[]): string[] | undefined {
  const columns = new Set<string>();
  for (const row of rows) {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return undefined;
    for (const [key, value] of Object.entries(row)) {
      if (typeof value === 'object' && value !== null) return undefined;
      columns.add(key);
    }
  }
  return columns.size > 0 ? [...columns] : undefined;
}

function cell(row: unknown, column: string): string {
  const value = Object.entries(row ?? {}).find(([key]) => key === column)?.[1];
  return value === undefined || value === null ? '' : String(value);
}

/** `listHash` reads "list hash". */
function spaced(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replaceAll('_', ' ');
}
