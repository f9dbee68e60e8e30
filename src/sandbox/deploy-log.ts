import type { ComposeRow } from './rows.ts';

const width = 78;

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && `${line} ${word}`.length > width - 2) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** The command Dokploy deploys a compose service with. */
export const composeCommand = (compose: ComposeRow): string =>
  compose.command || `docker compose -p ${compose.appName} -f docker-compose.yml up -d --build --remove-orphans`;

/** The head of a deployment's log, as Dokploy draws it. */
export function deployLogHead(compose: ComposeRow, mounts: number): string {
  const facts = [
    `App Name: ${compose.appName}`,
    'Build Compose 🐳',
    `Detected: ${mounts} mounts 📂`,
    `Command: ${composeCommand(compose)}`,
    `Source Type: docker ${compose.sourceType} ✅`,
    `Compose Type: ${compose.composeType} ✅`,
  ];
  // A sign drawn two columns wide takes one column more than its length in code points says.
  const columns = (text: string) => [...text].length + [...text].filter((sign) => (sign.codePointAt(0) ?? 0) > 0x2600).length;
  const row = (text: string) => `║ ${text}${' '.repeat(Math.max(0, width - 1 - columns(text)))}║`;
  const edge = '═'.repeat(width);
  const body = ['', ...facts.flatMap(wrap), ''].map(row);
  return ['Initializing deployment', "File 'docker-compose.yml' created: ✅", `╔${edge}╗`, ...body, `╚${edge}╝`, ''].join('\n');
}

/** How a failed deployment's log ends. */
export const failedDocker = (reason: string): string => `${reason}\nError: ❌ Docker command failed\n\n${seeLogs}`;
export const failedEarly = (reason: string): string => `❌ Has occurred an error: ${reason}\n\n${seeLogs}`;
const seeLogs = 'Error occurred ❌, check the logs for details.\n';

/** The last `tail` lines of a text. */
export function tailOf(text: string, tail: number): string {
  const lines = text.split('\n');
  const ended = lines.at(-1) === '';
  return lines.slice(-(tail + (ended ? 1 : 0))).join('\n');
}
