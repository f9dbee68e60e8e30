/** Where each MCP client keeps its servers, and in which shape. Pure: the machine's facts are handed in. */
import { posix, win32 } from 'node:path';

export const clientNames = ['claude-code', 'claude-desktop', 'cursor', 'vscode', 'codex'] as const;
export type ClientName = (typeof clientNames)[number];

/** What a client needs to start us; no secret ever stands here. */
export type Entry = { command: string; args: string[]; env: Record<string, string> };

export type ClientFile = {
  /** For people. */
  title: string;
  path: string;
  format: 'json' | 'toml';
  /** The key under which entries stand, by name. */
  key: string;
  /** The entry as this client writes it. */
  shape(entry: Entry): Record<string, unknown>;
  /** What the person does afterwards. */
  afterwards: string;
};

export type Machine = { platform: string; home: string; variable: (name: string) => string | undefined };

const plain = ({ command, args, env }: Entry) => ({ command, args, env });
const typed = (entry: Entry) => ({ type: 'stdio', ...plain(entry) });

/** The user's own file of a client on this machine. */
export function clientFile(name: ClientName, { platform, home, variable }: Machine): ClientFile {
  const { join } = platform === 'win32' ? win32 : posix;
  const folder = applicationFolder(platform, home, variable);
  switch (name) {
    case 'claude-code': {
      const own = variable('CLAUDE_CONFIG_DIR');
      const path = own === undefined ? join(home, '.claude.json') : join(own, '.claude.json');
      return { title: 'Claude Code', path, format: 'json', key: 'mcpServers', shape: typed, afterwards: 'Start a new session.' };
    }
    case 'claude-desktop':
      return {
        title: 'Claude Desktop',
        path: join(folder, 'Claude', 'claude_desktop_config.json'),
        format: 'json',
        key: 'mcpServers',
        shape: plain,
        afterwards: 'Quit Claude Desktop and start it again.',
      };
    case 'cursor':
      return {
        title: 'Cursor',
        path: join(home, '.cursor', 'mcp.json'),
        format: 'json',
        key: 'mcpServers',
        shape: plain,
        afterwards: 'Enable it in the settings under MCP.',
      };
    case 'vscode':
      return {
        title: 'VS Code',
        path: join(folder, 'Code', 'User', 'mcp.json'),
        format: 'json',
        key: 'servers',
        shape: typed,
        afterwards: 'Start it from the list of MCP servers.',
      };
    case 'codex':
      return {
        title: 'Codex',
        path: join(variable('CODEX_HOME') ?? join(home, '.codex'), 'config.toml'),
        format: 'toml',
        key: 'mcp_servers',
        shape: plain,
        afterwards: 'Start a new session.',
      };
    default:
      return name satisfies never;
  }
}

function applicationFolder(platform: string, home: string, variable: Machine['variable']): string {
  if (platform === 'win32') return variable('APPDATA') ?? win32.join(home, 'AppData', 'Roaming');
  if (platform === 'darwin') return posix.join(home, 'Library', 'Application Support');
  return variable('XDG_CONFIG_HOME') ?? posix.join(home, '.config');
}
