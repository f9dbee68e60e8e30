/** Fits the pictures of workflows and runs to the doors that show them. */
import type { Desk } from './desk.ts';
import { type Diagram, diagramOf, type NodeLike } from './diagram/model.ts';
import type { DiagramFormat, McpApp } from './mcp/app-port.ts';

export function createDiagrams({ engine, catalog, store }: Pick<Desk, 'engine' | 'catalog' | 'store'>): Pick<McpApp, 'diagram'> {
  return {
    async diagram(of, format) {
      if ('workflow' in of) return drawn(diagramOf(rootOf(catalog.workflow(of.workflow)), undefined), format);
      const { runId } = await engine.inspect(of.run);
      const run = (await store.load(runId))?.run;
      if (!run) throw new TypeError('a run that was inspected is there');
      const { value } = run.snapshot as { value?: unknown }; // XState's persisted snapshot
      return drawn(diagramOf(rootOf(catalog.definitionFor(run)), value), format);
    },
  };
}

function rootOf({ machine }: { machine: { root: unknown } }): NodeLike {
  return machine.root as NodeLike; // XState's StateNode, of which the model reads a few plain fields
}

async function drawn(diagram: Diagram, format: DiagramFormat): Promise<string> {
  if (format === 'mermaid') return (await import('./diagram/mermaid.ts')).toMermaid(diagram);
  return (await import('./diagram/svg.ts')).toSvg(diagram);
}
