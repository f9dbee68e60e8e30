/** `--diagram mermaid|svg`: a picture on standard output, to be piped into a file. */
import type { DiagramFormat } from '../mcp/app-port.ts';
import { usage } from './arguments.ts';
import { exitCodes } from './exit-codes.ts';
import { nearest } from './nearest.ts';
import type { Outcome } from './output.ts';

const formats: readonly DiagramFormat[] = ['mermaid', 'svg'];

export const diagramFlag = { type: 'string', valueHint: 'mermaid|svg', description: 'Print the states as a diagram instead' } as const;

export async function drawn(typed: string, command: string, draw: (format: DiagramFormat) => Promise<string>): Promise<Outcome> {
  const format = formats.find((each) => each === typed);
  if (!format) throw usage(command, `--diagram takes ${formats.join(' or ')}.`, nearest(typed, [...formats]));
  const text = (await draw(format)).trimEnd();
  return { exit: exitCodes.ok, json: { format, diagram: text }, text };
}
