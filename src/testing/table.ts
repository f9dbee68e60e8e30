import { crashKinds, rollbackKinds, undoKinds } from './crash-kinds.ts';
import type { Cell, MatrixReport } from './matrix.ts';

/** The matrix as text: effect × crash kind with counts, `·` where a kind does not fit, `0!` where a case is missing; ends with the sum. */
export function tableOf(report: MatrixReport): string {
  const names = (kinds: readonly { name: string }[]) => kinds.map(({ name }) => name);
  const undo = report.cells.filter(({ row }) => row.startsWith('undo '));
  const rollback = report.cells.filter(({ row }) => row === 'whole rollback');
  const crash = report.cells.filter((cell) => !undo.includes(cell) && !rollback.includes(cell));
  const missing = new Set(report.empty);
  return [
    `${report.workflow}: ${report.paths.paths.length} paths, ${report.paths.states.reached} of ${report.paths.states.all} states, ${report.paths.transitions.covered} of ${report.paths.transitions.all} transitions`,
    ...report.paths.leftOut.map((what) => `left out: ${what}`),
    grid(crash, ['no crash', ...names(crashKinds), 'exhausted'], missing),
    ...(undo.length > 0 ? [grid(undo, names(undoKinds), missing)] : []),
    ...(rollback.length > 0 ? [grid(rollback, ['no crash', ...names(rollbackKinds)], missing)] : []),
    ...report.differences.map((difference) => `DIFFERENCE ${difference}`),
    ...report.empty.map((cell) => `EMPTY ${cell}`),
  ].join('\n');
}

function grid(cells: readonly Cell[], columns: readonly string[], missing: ReadonlySet<string>): string {
  const rows = [...new Set(cells.map(({ row }) => row))];
  const textOf = (row: string, column: string): string => {
    const cell = cells.find((each) => each.row === row && each.column === column);
    if (cell) return cell.differences > 0 ? `${cell.cases}!${cell.differences}` : String(cell.cases);
    return missing.has(`${row} × ${column}`) ? '0!' : '·';
  };
  const wide = Math.max(...rows.map((row) => row.length));
  const lines = rows.map((row) => [row.padEnd(wide), ...columns.map((column) => textOf(row, column).padStart(5))].join(' '));
  const legend = columns.map((column, index) => `${index + 1} ${column}`).join(', ');
  return ['', legend, [''.padEnd(wide), ...columns.map((_, index) => String(index + 1).padStart(5))].join(' '), ...lines].join('\n');
}
