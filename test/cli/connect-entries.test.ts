/** What `capstan connect` does to the text of a client's file: our entry in and out, everything else byte for byte. */
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { expect, test } from 'vitest';
import { clientFile, clientNames } from '../../src/cli/connect/clients.ts';
import { readJsonEntry, withJsonEntry } from '../../src/cli/connect/json-entries.ts';
import { readTomlEntry, withTomlEntry } from '../../src/cli/connect/toml-entries.ts';

const entry = { command: '/opt/node', args: ['/opt/capstan/main.js', 'serve'], env: { CAPSTAN_HOME: '/home/me/.local/state/capstan' } };

const vscode = `// my servers
{
\t"inputs": [{ "type": "promptString", "id": "token", "description": "Token", "password": true }],
\t/* kept */
\t"servers": {
\t\t"github": { "type": "http", "url": "https://api.githubcopilot.com/mcp/" }, // mine
\t},
}
`;
const claude = `{
  "numStartups": 312,
  "tipsHistory": {"new-user-warmup": 1, "shift-enter": 7},
  "mcpServers": {
    "supabase": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "@supabase/mcp-server-supabase@latest"],
      "env": {}
    }
  },
  "projects": { "/home/me/app": { "allowedTools": [], "mcpServers": {} } }
}`;
const codex = `# Codex
model = "gpt-5.1-codex"
approval_policy = "on-request"   # ask me

[mcp_servers.docs]
command = "npx"
args = [
  "-y",
  "[not-a-table]",
]

# what I added for the shop
[mcp_servers.shop]
url = "https://shop.example.com/mcp"

[projects."/home/me/app"]
trust_level = "trusted"
`;

test.each([
  ['VS Code, with comments, tabs and trailing commas', vscode, 'servers'],
  ['Claude Code', claude, 'mcpServers'],
  ['windows line ends', claude.replaceAll('\n', '\r\n'), 'mcpServers'],
  ['a byte order mark', `\uFEFF${claude}`, 'mcpServers'],
  ['one line', '{"mcpServers":{"a":{"command":"x"}},"theme":"dark"}', 'mcpServers'],
])('JSON of %s: the entry goes in, every other line stays, and out again', (_what, text, key) => {
  const added = withJsonEntry(text, key, 'capstan', entry);
  expect(readJsonEntry(added, key, 'capstan')).toEqual(entry);
  expect(added.includes('\r\n')).toBe(text.includes('\r\n'));
  expect(withJsonEntry(added, key, 'capstan', entry)).toBe(added);
  const removed = withJsonEntry(added, key, 'capstan', undefined);
  expect(readJsonEntry(removed, key, 'capstan')).toBeUndefined();
  expect(removed).toBe(text);
  const changed = withJsonEntry(added, key, 'capstan', { command: 'x' });
  expect(withJsonEntry(changed, key, 'capstan', undefined)).toBe(text);
});

test.each([
  ['the last', '{\n  "mcpServers": {\n    "a": {},\n    "capstan": {}\n  }\n}', '{\n  "mcpServers": {\n    "a": {}\n  }\n}'],
  ['in the middle', '{"mcpServers":{"a":{},"capstan":{"x":1},"b":{}}}', '{"mcpServers":{"a":{},"b":{}}}'],
  ['the only one', '{"mcpServers":{"capstan":{"x":1}}}', '{"mcpServers":{}}'],
])('an entry that stands %s is taken out', (_what, text, after) => {
  expect(withJsonEntry(text, 'mcpServers', 'capstan', undefined)).toBe(after);
});

test('a new file, and one without the key, get both', () => {
  expect(JSON.parse(withJsonEntry('', 'mcpServers', 'capstan', entry))).toEqual({ mcpServers: { capstan: entry } });
  expect(JSON.parse(withJsonEntry('{"a":1}', 'servers', 'capstan', entry))).toEqual({ a: 1, servers: { capstan: entry } });
  expect(parse(withTomlEntry('', 'mcp_servers', 'capstan', entry))).toEqual({ mcp_servers: { capstan: entry } });
});

test('TOML of Codex: the entry goes in at the end, every other byte stays, and out again', () => {
  const added = withTomlEntry(codex, 'mcp_servers', 'capstan', entry);
  expect(added.startsWith(codex)).toBe(true);
  expect(readTomlEntry(added, 'mcp_servers', 'capstan')).toEqual(entry);
  expect(withTomlEntry(added, 'mcp_servers', 'capstan', undefined)).toBe(codex);
  const changed = withTomlEntry(added, 'mcp_servers', 'capstan', { ...entry, args: ['other'] });
  expect(readTomlEntry(changed, 'mcp_servers', 'capstan')).toMatchObject({ args: ['other'] });
  expect(changed.startsWith(codex)).toBe(true);
  const crlf = withTomlEntry(codex.replaceAll('\n', '\r\n'), 'mcp_servers', 'capstan', entry);
  expect(crlf.replaceAll('\r\n', '')).not.toContain('\n');
});

test('an entry in the middle is cut out without the comment of the next', () => {
  const middle = codex.replace(
    '# what I added',
    '[mcp_servers.capstan]\ncommand = "old"\n\n[mcp_servers.capstan.env]\nA = "b"\n\n# what I added',
  );
  expect(withTomlEntry(middle, 'mcp_servers', 'capstan', undefined)).toBe(codex);
});

test.each([
  ['an inline table', 'mcp_servers = { capstan = { command = "x" }, other = { command = "y" } }\n'],
  ['dotted keys', '[mcp_servers]\ncapstan.command = "x"\nother.command = "y"\n'],
])('TOML with our entry in %s is refused rather than touched', (_what, text) => {
  expect(() => withTomlEntry(text, 'mcp_servers', 'capstan', entry)).toThrow(expect.objectContaining({ code: 'CLIENT_FILE_BROKEN' }));
});

test.each([
  ['{ "mcpServers": { ', 'json'],
  ['{ "mcpServers": [] }', 'json'],
  ['[1]', 'json'],
  ['<xml>', 'json'],
  ['a = [', 'toml'],
  ['mcp_servers = 3', 'toml'],
])('a broken file is refused: %s', (text, format) => {
  const act = () =>
    format === 'json' ? withJsonEntry(text, 'mcpServers', 'capstan', entry) : withTomlEntry(text, 'mcp_servers', 'capstan', entry);
  expect(act).toThrow(expect.objectContaining({ code: 'CLIENT_FILE_BROKEN' }));
});

const names = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/).filter((name) => name !== 'capstan');
test('any JSON keeps what it says but for our entry', () => {
  fc.assert(
    fc.property(
      fc.dictionary(names, fc.jsonValue()),
      fc.dictionary(names, fc.jsonValue()),
      fc.constantFrom(0, 2, 4, '\t'),
      (rest, servers, indent) => {
        const { mcpServers: _, ...others } = rest;
        const text = JSON.stringify({ ...others, mcpServers: servers }, null, indent);
        const added = withJsonEntry(text, 'mcpServers', 'capstan', entry);
        expect(JSON.parse(added)).toEqual({ ...JSON.parse(text), mcpServers: { ...JSON.parse(JSON.stringify(servers)), capstan: entry } });
        expect(JSON.parse(withJsonEntry(added, 'mcpServers', 'capstan', undefined))).toEqual(JSON.parse(text));
      },
    ),
  );
});

test('each client has a file of its own on each system', () => {
  const paths = (['linux', 'darwin', 'win32'] as const).flatMap((platform) =>
    clientNames.map(
      (name) => clientFile(name, { platform, home: platform === 'win32' ? 'C:\\Users\\me' : '/home/me', variable: () => undefined }).path,
    ),
  );
  expect(paths).toMatchInlineSnapshot(`
    [
      "/home/me/.claude.json",
      "/home/me/.config/Claude/claude_desktop_config.json",
      "/home/me/.cursor/mcp.json",
      "/home/me/.config/Code/User/mcp.json",
      "/home/me/.codex/config.toml",
      "/home/me/.claude.json",
      "/home/me/Library/Application Support/Claude/claude_desktop_config.json",
      "/home/me/.cursor/mcp.json",
      "/home/me/Library/Application Support/Code/User/mcp.json",
      "/home/me/.codex/config.toml",
      "C:\\Users\\me\\.claude.json",
      "C:\\Users\\me\\AppData\\Roaming\\Claude\\claude_desktop_config.json",
      "C:\\Users\\me\\.cursor\\mcp.json",
      "C:\\Users\\me\\AppData\\Roaming\\Code\\User\\mcp.json",
      "C:\\Users\\me\\.codex\\config.toml",
    ]
  `);
});
