// Ends with 1 while this package may not be published: `npm publish` runs it, and so does the release workflow, which knows the owner.
import { readFileSync } from 'node:fs';

export const placeholder = 'owner-not-set';

/** What stands against publishing. `repositoryOwner` is who owns the repository of the release, where that is known. Pure. */
export function faultsOf({ pkg, server, repositoryOwner }) {
  const [, owner] =
    /^io\.github\.([A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?)\/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.exec(pkg.mcpName) ?? [];
  const faults = [];
  if (owner === undefined)
    faults.push(`mcpName ${pkg.mcpName} is not io.github.OWNER/NAME, which the registry proves by a login at GitHub.`);
  if (owner === placeholder)
    faults.push(
      `The owner is not set: npm pkg set mcpName=io.github.YOU/${pkg.name}, then npm run docs, which carries it into server.json.`,
    );
  else if (owner !== undefined && repositoryOwner !== undefined && owner.toLowerCase() !== repositoryOwner.toLowerCase())
    faults.push(`mcpName names the owner ${owner}, and this repository is ${repositoryOwner}'s.`);
  if (server.name !== pkg.mcpName || server.version !== pkg.version)
    faults.push('server.json does not say what package.json says: npm run docs.');
  return faults;
}

if (process.argv[1]?.endsWith('publishable.mjs')) {
  const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
  const repositoryOwner = process.env.GITHUB_REPOSITORY_OWNER;
  const faults = faultsOf({
    pkg: read('package.json'),
    server: read('server.json'),
    ...(repositoryOwner ? { repositoryOwner } : {}),
  });
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
