import type { Hints } from './walk.ts';

/** What the schemas of our own contracts cannot say, because a later step reads an entry of a free record by name. */
export const houseHints: Hints = {
  outputs: {
    'secrets.generateSupabase@1': {
      references: {
        ANON_KEY: 'secret:sample-anon',
        SERVICE_ROLE_KEY: 'secret:sample-service',
        POSTGRES_PASSWORD: 'secret:sample-password',
      },
    },
  },
};
