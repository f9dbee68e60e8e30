export const placeholder: string;
export function faultsOf(of: {
  pkg: { name: string; version: string; mcpName: string };
  server: { name: string; version: string };
  repositoryOwner?: string;
}): string[];
