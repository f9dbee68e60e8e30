export function referenceOf(parts: {
  toolsets: Readonly<Record<string, readonly { definition: unknown }[]>>;
  workflows: readonly unknown[];
  toJsonSchema: (schema: never) => unknown;
}): string;
