/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The graph of a pipeline in the report of `exec`: a column for each stage, a box for each job or group of parallel
 * jobs, a line for each need. Drawn as SVG, with links to the logs. Called by page.c. Names get into it through
 * page-text.c only. */

#include "base/string.h"
#include "exec/page.h"

#define BOX_WIDTH 190U
#define BOX_HEIGHT 32U
#define COLUMN_WIDTH 260U
#define ROW_HEIGHT 44U
#define TOP 44U
#define MARGIN 10U
#define NAME_COLUMNS 18U
#define EDGES_MAX 5000U

/* A job, or copies of one. */
typedef struct Node {
        size_t first, n; /* jobs of the pipeline; some between may not be in the run */
        size_t n_taken;
        unsigned column, row;
        size_t seen_by; /* the node whose line to this one was drawn last, plus 1 */
} Node;

typedef struct Graph {
        const ExecPage *page;
        Node *nodes;
        size_t n_nodes;
        size_t *node_of; /* of each job */
        unsigned n_columns, n_rows;
        size_t n_edges;
} Graph;

static const Pipeline *pipeline_of(const Graph *graph) {
        return graph->page->state->pipeline;
}

static void graph_done(Graph *graph) {
        free(graph->nodes);
        free(graph->node_of);
}

/* Jobs are sorted by stages, and copies follow each other. */
static int graph_init(Graph *graph, const ExecPage *page) {
        const Pipeline *pipeline = page->state->pipeline;
        const PipelineJob *last = NULL;
        unsigned row = 0;

        *graph = (Graph){ .page = page };
        graph->nodes = calloc(pipeline->n_jobs + 1, sizeof(Node));
        graph->node_of = calloc(pipeline->n_jobs + 1, sizeof(size_t));
        if (!graph->nodes || !graph->node_of) {
                graph_done(graph);
                return -ENOMEM;
        }
        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                const PipelineJob *job = pipeline->jobs + i;

                if (page->state->jobs[i].take == RUN_LEAVE)
                        continue;
                bool new_stage = !last || last->stage_index != job->stage_index;
                if (new_stage || !streq(last->group, job->group)) {
                        graph->n_columns += new_stage;
                        row = new_stage ? 0 : row + 1;
                        graph->n_rows = MAX(graph->n_rows, row + 1);
                        graph->nodes[graph->n_nodes++] = (Node){ .first = i,
                                                                 .column = graph->n_columns - 1,
                                                                 .row = row };
                }
                Node *node = graph->nodes + graph->n_nodes - 1;
                node->n = i + 1 - node->first;
                node->n_taken++;
                graph->node_of[i] = graph->n_nodes - 1;
                last = job;
        }
        return 0;
}

static unsigned node_x(const Node *node) {
        return MARGIN + node->column * COLUMN_WIDTH;
}

static unsigned node_y(const Node *node) {
        return TOP + node->row * ROW_HEIGHT;
}

static void draw_heading(const Graph *graph, const Node *node, FILE *to) {
        fprintf(to, "<text class=\"stage\" x=\"%u\" y=\"%u\">", node_x(node), TOP - 16);
        exec_page_short_text(to, pipeline_of(graph)->jobs[node->first].stage, NAME_COLUMNS + 4);
        fputs("</text>\n", to);
}

static void draw_node(const Graph *graph, const Node *node, FILE *to) {
        const RunState *state = graph->page->state;
        const PipelineJob *job = state->pipeline->jobs + node->first;
        unsigned x = node_x(node), y = node_y(node), seen = 0;
        bool allowed = false;

        for (size_t i = node->first; i < node->first + node->n; i++)
                if (state->jobs[i].take != RUN_LEAVE) {
                        unsigned is = status_seen(state->jobs[i].status, state->jobs[i].allow_failure);

                        allowed = allowed || is == SEEN_WARNING;
                        seen |= STATUS_BIT(is);
                }
        JobStatus status = node->n_taken == 1 ? state->jobs[node->first].status : status_composite(seen, false);
        if (allowed && status == JOB_SUCCESS)
                status = JOB_FAILED;
        ExecStatusLook look = exec_status_look(status, allowed);
        fprintf(to, "<a href=\"#log-%zu\"><g class=\"%s\"><title>", node->first, look.class);
        exec_page_text(to, node->n_taken == 1 ? job->name : job->group, SIZE_MAX);
        fprintf(to, ": %s</title><rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"6\"/>", look.word, x, y,
                BOX_WIDTH, BOX_HEIGHT);
        fprintf(to, "<text class=\"sign\" x=\"%u\" y=\"%u\">%s</text><text x=\"%u\" y=\"%u\">", x + 12, y + 21,
                look.sign, x + 32, y + 21);
        exec_page_short_text(to, node->n_taken == 1 ? job->name : job->group,
                             NAME_COLUMNS - (node->n_taken > 1 ? 5 : 0));
        if (node->n_taken > 1)
                fprintf(to, " ×%zu", node->n_taken);
        fputs("</text></g></a>\n", to);
}

static void draw_edge(const Node *from, const Node *node, FILE *to) {
        unsigned x1 = node_x(from) + BOX_WIDTH, y1 = node_y(from) + BOX_HEIGHT / 2;
        unsigned x2 = node_x(node), y2 = node_y(node) + BOX_HEIGHT / 2;

        /* Within a stage: around the left side of both. */
        if (from->column == node->column)
                fprintf(to, "<path d=\"M%u %uC%d %u %d %u %u %u\"/>\n", x2, y1, (int) x2 - 20, y1, (int) x2 - 20, y2,
                        x2, y2);
        else
                fprintf(to, "<path d=\"M%u %uC%u %u %u %u %u %u\"/>\n", x1, y1, x1 + 35, y1, x2 - 35, y2, x2, y2);
}

static void draw_edges(Graph *graph, size_t n, FILE *to) {
        Node *node = graph->nodes + n;

        for (size_t i = node->first; i < node->first + node->n; i++) {
                const PipelineJob *job = pipeline_of(graph)->jobs + i;

                for (size_t k = 0; job->by_needs && k < job->n_needs; k++) {
                        if (job->needs[k].job == SIZE_MAX ||
                            graph->page->state->jobs[job->needs[k].job].take == RUN_LEAVE)
                                continue;
                        Node *from = graph->nodes + graph->node_of[job->needs[k].job];
                        if (from->seen_by == n + 1 || from == node || graph->n_edges == EDGES_MAX)
                                continue;
                        from->seen_by = n + 1;
                        graph->n_edges++;
                        draw_edge(from, node, to);
                }
        }
}

int exec_page_graph(const ExecPage *page, FILE *to) {
        _cleanup_(graph_done) Graph graph;

        int r = graph_init(&graph, page);
        if (r < 0)
                return r;
        unsigned width = graph.n_columns * COLUMN_WIDTH - (COLUMN_WIDTH - BOX_WIDTH) + 2 * MARGIN;
        unsigned height = TOP + graph.n_rows * ROW_HEIGHT + MARGIN;
        fprintf(to,
                "<svg id=\"graph\" role=\"img\" aria-label=\"Graph of the pipeline\" width=\"%u\" height=\"%u\" "
                "viewBox=\"0 0 %u %u\">\n<g class=\"needs\">\n",
                width, height, width, height);
        for (size_t i = 0; i < graph.n_nodes; i++)
                draw_edges(&graph, i, to);
        fputs("</g>\n", to);
        for (size_t i = 0; i < graph.n_nodes; i++) {
                if (graph.nodes[i].row == 0)
                        draw_heading(&graph, graph.nodes + i, to);
                draw_node(&graph, graph.nodes + i, to);
        }
        fputs("</svg>\n", to);
        return 0;
}
