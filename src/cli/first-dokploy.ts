/** `serve --dokploy URL --dokploy-key REF`: for clients that configure by a form (an .mcpb bundle), whose owner never sees a terminal. */
import type { App } from '../app.ts';
import { usage } from './arguments.ts';
import { requireReference } from './references.ts';

export type FirstDokploy = { url: string; key: string };

/** Undefined without the flags. Throws USAGE when one of the two is missing. */
export function firstDokployOf(args: { dokploy?: string | undefined; 'dokploy-key'?: string | undefined }): FirstDokploy | undefined {
  const { dokploy: url, 'dokploy-key': key } = args;
  if (url === undefined && key === undefined) return undefined;
  if (url === undefined || key === undefined) throw usage('capstan serve', '--dokploy and --dokploy-key go together.');
  return { url, key: requireReference('dokploy-key', key) };
}

/** Stores it under the name `main` when no Dokploy is registered yet; what the owner registered himself is left alone. */
export async function registerFirst(app: App, { url: typed, key }: FirstDokploy): Promise<void> {
  if ((await app.registry.dokploys()).length > 0) return;
  const { url } = await app.readAddress({ url: typed });
  const { reference, staged } = await app.vault.handOver(key, 'dokploy:main', 'apiKey');
  await app.registry.addDokploy({ name: 'main', url, keySecret: reference, options: {} }, staged ? [staged] : []);
  await app.operations.note('dokploy add main', { principal: 'local', door: 'serve' });
}
