/** What is known of every code that Capstan answers with; the build collects it from the sources and README (scripts/knowledge.mjs). */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { packageFile } from './package-root.ts';

const article = z.strictObject({
  code: z.string(),
  /** Who says it: an error, the doctor, or a warning beside an answer. */
  by: z.array(z.enum(['error', 'doctor', 'warning'])),
  /** Its sentences; what differs from case to case is `…`. */
  says: z.array(z.string()),
  next: z.array(z.string()),
  /** The explanation of the manual. */
  means: z.string().optional(),
});
export type Article = z.infer<typeof article>;

let known: ReadonlyMap<string, Article> | undefined;

/** Code to article, in the order of the alphabet. */
export function articles(): ReadonlyMap<string, Article> {
  known ??= new Map(
    z
      .array(article)
      .parse(JSON.parse(readFileSync(packageFile('dist', 'knowledge.json'), 'utf8')))
      .map((each) => [each.code, each]),
  );
  return known;
}

const sources = { error: 'an error', doctor: 'a finding of the doctor', warning: 'a warning beside an answer' };

/** One article as Markdown: what is said, what it means, what to do next. */
export function articleText({ code, by, says, next, means }: Article): string {
  const from = by.map((each) => sources[each]).join(', ');
  const others = by.includes('doctor')
    ? ['The finding itself names the exact fix for this instance.']
    : ['The answer itself says what to do.'];
  return [
    `# ${code}`,
    `${from.charAt(0).toUpperCase()}${from.slice(1)}.`,
    ...(says.length === 0 ? [] : ['## What it says', ...bullets(says)]),
    ...(means === undefined ? [] : ['## What it means', means]),
    '## Next step',
    ...(next.length === 0 ? others : bullets(next)),
  ].join('\n\n');
}

/** Every code with its first sentence. */
export function indexText(): string {
  const lines = [...articles().values()].map(({ code, says, means, next }) => `- \`${code}\`: ${says[0] ?? means ?? next[0] ?? ''}`);
  return ['# Codes', 'Each has an article: `capstan://knowledge/CODE`. `…` stands for what differs.', lines.join('\n')].join('\n\n');
}

function bullets(sentences: readonly string[]): string[] {
  return sentences.length === 1 ? [...sentences] : [sentences.map((each) => `- ${each}`).join('\n')];
}
