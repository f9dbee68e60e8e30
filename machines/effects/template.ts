import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { quickRead } from './shapes.ts';

/** Fetches the Supabase blueprint from the dokploy's template address and keeps it as an artifact. */
export const fetchTemplate = defineEffect({
  name: 'template.fetch@1',
  title: 'Fetch the Supabase template',
  readOnly: true,
  ...quickRead,
  input: z.object({ dokploy: z.string() }),
  output: z.object({
    artifact: z.string(),
    /** Over both files, as fetched. */
    sha256: z.string(),
    baseUrl: z.string(),
    services: z.array(z.string()),
    /** Shown, not chosen (design §7); null when the compose file names no Postgres image. */
    postgres: z.object({ image: z.string(), tag: z.string(), major: z.number().int().nullable() }).nullable(),
  }),
});
