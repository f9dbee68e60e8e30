/** What a command prints: one JSON document with `--json`, else text; always scrubbed and printable. */
import { toRecord } from '../errors.ts';
import { mapText, printable } from '../mcp/printable.ts';
import { type ExitCode, exitOfCode } from './exit-codes.ts';
import { scrubber } from './surroundings.ts';

/** `json: undefined` when everything was printed line by line already. */
export type Outcome = { exit: ExitCode; json: unknown; text: string };

const clean = (text: string): string => printable(scrubber.scrub(text));

export function report(outcome: Outcome, asJson: boolean): void {
  process.exitCode = outcome.exit;
  if (asJson && outcome.json === undefined) return;
  // A copy through JSON first, so that scrubbing never breaks the document.
  const text = asJson ? JSON.stringify(mapText(JSON.parse(JSON.stringify(outcome.json)), clean), null, 2) : clean(outcome.text);
  if (text !== '') console.log(text);
}

/** `CODE: message` and the fix on stderr; with `--json` the error as one document on stdout. */
export function reportError(error: unknown, asJson: boolean): void {
  const { code, message, fix, details } = toRecord(error);
  process.exitCode = exitOfCode(code);
  if (asJson) {
    const document = { error: { code, message, ...(fix === undefined ? {} : { fix }), ...(details === undefined ? {} : { details }) } };
    console.log(JSON.stringify(mapText(JSON.parse(JSON.stringify(document)), clean), null, 2));
    return;
  }
  console.error(clean(`${code}: ${message.replaceAll('\n', ' ')}`));
  console.error(clean(fix ?? 'Run it again with CAPSTAN_LOG=debug to see more.'));
}

/** One line of many on stdout, as JSON or text. */
export function printLine(line: unknown, asJson: boolean): void {
  console.log(asJson ? JSON.stringify(mapText(JSON.parse(JSON.stringify(line)), clean)) : clean(String(line)));
}

/** A line for the person who watches; stdout stays for the result. */
export function note(text: string): void {
  console.error(clean(text));
}
