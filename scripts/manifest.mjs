// The manifest of the .mcpb bundle, from package.json and the tools as they are.

/** What the client fills in when it starts us. */
export const slot = (name) => ['$', '{', name, '}'].join('');

/** `platform` is the one whose native modules the bundle carries; `tools` and `prompts` are name and description each. */
export function manifestOf(pkg, platform, tools) {
  return {
    manifest_version: '0.2',
    name: pkg.name,
    display_name: 'Capstan',
    version: pkg.version,
    description: pkg.description,
    long_description:
      'Deploys, diagnoses, repairs and backs up a self-hosted Supabase on your own server through Dokploy. Every job is a durable workflow: nothing is created before you approve the plan, a job that was interrupted goes on, and what it did can be taken back.',
    author: { name: 'Capstan maintainers' },
    server: {
      type: 'node',
      entry_point: 'dist/src/main.js',
      mcp_config: {
        command: 'node',
        args: [
          `${slot('__dirname')}/dist/src/main.js`,
          'serve',
          '--dokploy',
          slot('user_config.dokploy_url'),
          '--dokploy-key',
          'env:DOKPLOY_API_KEY',
        ],
        env: { DOKPLOY_API_KEY: slot('user_config.dokploy_api_key') },
      },
    },
    tools: tools.map(({ name, description }) => ({ name, description })),
    keywords: pkg.keywords.slice(0, 10),
    license: pkg.license,
    compatibility: { platforms: [platform], runtimes: { node: pkg.engines.node } },
    user_config: {
      dokploy_url: {
        type: 'string',
        title: 'Address of your Dokploy',
        description: 'Such as https://dokploy.example.com or http://203.0.113.7:3000; registered under the name main',
        required: true,
      },
      dokploy_api_key: {
        type: 'string',
        title: 'API key of your Dokploy',
        description: 'Dokploy: Settings, API keys; without a rate limit. Stored encrypted by Capstan; no tool ever shows it',
        sensitive: true,
        required: true,
      },
    },
  };
}
