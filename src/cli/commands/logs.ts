import { resolve } from 'node:path';
import { isLogLevel, logLevels } from '../../logs/levels.ts';
import { printLogLine } from '../../logs/lines.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

const defaultLimit = 200;
const text = (valueHint: string, description: string) => ({ type: 'string', valueHint, description }) as const;

export const logs = command(
  'logs',
  'Read the logs of an instance: its containers and its newest deployment; secrets are taken out',
  {
    target: { ...text('NAME', 'A registered target that runs on a Dokploy'), required: true },
    service: text('SERVICE', 'One service such as kong or db, or deployment. Default: all'),
    level: text('LEVEL', `As grave as this or graver: ${logLevels.join(', ')}`),
    since: text('WHEN', 'A span before now (30m, 2h, 7d) or an ISO time'),
    until: text('WHEN', 'As --since'),
    text: text('TEXT', 'Only lines that hold this, whatever the case'),
    limit: text('N', `Newest lines that are printed. Default: ${defaultLimit}`),
    out: text('FILE', 'Write every line that fits to a new file'),
  },
  async ({ target, service, level, since, until, text: part, limit, out }) => {
    if (level !== undefined && !isLogLevel(level)) throw usage('capstan logs', `--level is one of: ${logLevels.join(', ')}.`);
    const newest = limit === undefined ? defaultLimit : Number(limit);
    if (!Number.isInteger(newest) || newest < 1 || newest > 10_000) throw usage('capstan logs', '--limit is a number from 1 to 10000.');
    const answer = await withApp((app) =>
      app.readLogs({
        target,
        limit: newest,
        service,
        level,
        since,
        until,
        text: part,
        toFile: out === undefined ? undefined : resolve(out),
      }),
    );
    const { lines, matched, sources, file } = answer;
    const unread = sources.filter(({ state }) => state !== 'read');
    const told = [
      ...(file !== undefined && out !== undefined ? [] : lines.map(printLogLine)),
      ...(file === undefined ? [] : [`${file.lines} lines (${file.bytes} bytes) are in ${file.path}`]),
      ...(matched === 0 ? ['(no line fits)'] : []),
      ...(matched > lines.length && file === undefined
        ? [`(${matched - lines.length} older lines fit; narrow, or --limit, or --out FILE)`]
        : []),
      ...unread.map(({ source, say }) => `(unknown: ${source}: ${say ?? ''})`),
    ];
    return { exit: unread.length === 0 ? exitCodes.ok : exitCodes.failed, json: answer, text: told.join('\n') };
  },
);
