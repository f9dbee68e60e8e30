type Toolsets = Readonly<Record<string, readonly { definition: { name: string; description: string } }[]>>;
export function withTable(readme: string, toolsets: Toolsets): string;
