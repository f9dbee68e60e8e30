import type { Role } from '../../src/mcp/connection.ts';
import { mintToken } from '../../src/mcp/http/bearer.ts';
import { openRelayDesk } from './desk.ts';

/** Makes tokens and targets in a home, as the owner would at a terminal; answers the tokens by name. */
export async function furnish(
  home: string,
  tokens: Record<string, { role: Role; targets?: string[]; expiresAt?: number }>,
  targets: Record<string, string[]> = {},
): Promise<Record<string, string>> {
  const desk = await openRelayDesk(home, 'http://127.0.0.1:1');
  const out: Record<string, string> = {};
  try {
    for (const [name, { role, targets: only, expiresAt }] of Object.entries(tokens)) {
      const { id, token, hash } = mintToken();
      await desk.tokens.add({ id, name, hash, role, targets: only ?? null, expiresAt: expiresAt ?? null });
      out[name] = token;
    }
    for (const [name, tags] of Object.entries(targets))
      await desk.registry.addTarget({ name, kind: 'self-hosted', tags, record: { url: `https://${name}.example.com` } }, []);
  } finally {
    desk.close();
  }
  return out;
}
