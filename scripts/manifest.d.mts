export function slot(name: string): string;
type Package = {
  name: string;
  version: string;
  description: string;
  license: string;
  keywords: string[];
  engines: { node: string };
};
export function manifestOf(
  pkg: Package,
  platform: string,
  tools: readonly { name: string; description: string }[],
): Record<string, unknown>;
