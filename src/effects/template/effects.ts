/** Fetching the Supabase blueprint from where this dokploy takes its templates. */
import { fetchTemplate as contract } from '../../../machines/effects/template.ts';
import { defineHandler, type Reach } from '../handler.ts';

export type TemplateDeps = {
  /** The template address of a dokploy; undefined means Dokploy's own. */
  templateBaseUrlFor: (dokploy: string) => Promise<string | undefined>;
};

/** Where Dokploy itself takes templates from when nothing else is set. */
export const defaultTemplateBaseUrl = 'https://templates.dokploy.com';

/** Both files as one artifact, in the form that planning reads. */
export type TemplateArtifact = { toml: string; compose: string };

export function createTemplateHandlers({ templateBaseUrlFor }: TemplateDeps) {
  return {
    'template.fetch@1': defineHandler(contract, {
      async run(ctx, { dokploy }) {
        const [{ fetchTemplate }, { readComposeFacts }] = await Promise.all([import('./fetch.ts'), import('../supabase/compose-facts.ts')]);
        const connection = await ctx.dokploy(dokploy);
        const baseUrl = ((await templateBaseUrlFor(dokploy)) ?? defaultTemplateBaseUrl).replace(/\/+$/, '');
        const reach = reachFor(baseUrl, connection.url, connection.reach);
        const { toml, compose, sha256 } = await fetchTemplate({ baseUrl, id: 'supabase', reach, signal: ctx.signal });
        const { services, postgres } = readComposeFacts(compose);
        const artifact = await ctx.artifacts.put(
          'template',
          'application/json',
          JSON.stringify({ toml, compose } satisfies TemplateArtifact),
        );
        return { artifact, sha256, baseUrl, services: services.map((service) => service.name), postgres };
      },
    }),
  };
}

/** The dokploy's own headers may carry credentials: they go to its own origin only. */
export function reachFor(baseUrl: string, dokployUrl: string, reach: Reach): Reach {
  const same = URL.canParse(baseUrl) && URL.canParse(dokployUrl) && new URL(baseUrl).origin === new URL(dokployUrl).origin;
  const { headers: _, ...rest } = reach;
  return same ? reach : rest;
}
