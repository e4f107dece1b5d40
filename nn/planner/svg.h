/* SPDX-License-Identifier: Apache-2.0 */
/* Plots as inline SVG. Colours come from the page's style sheet through class names. Numbers are
 * written the same in every locale. Internal to nn/. */
#ifndef NN_SVG_H
#define NN_SVG_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/base/json.h"

/* A rectangle of the drawing, in pixels, and the values at its edges. */
typedef struct nn_plot {
    nn_text *out;
    double left, top, width, height;
    double x_min, x_max, y_min, y_max;
    bool log_y;          /* y_min > 0 */
    unsigned tick_count; /* about so many ticks on each axis; 0: 6 */
} nn_plot;

/* Text with the characters that mean something in HTML escaped; a number with `decimals` (0 to 6)
 * places, "-" if it is not finite.
 */
void nn_html_text(nn_text *out, const char *text);
#define NN_FIXED_ROOM 40u
char *nn_fixed(char to[NN_FIXED_ROOM], double number, unsigned decimals); /* returns `to` */
void nn_html_number(nn_text *out, double number, unsigned decimals);

/* `class_name` may be NULL, `label` says what is drawn to those who do not see it. */
void nn_svg_begin(nn_text *out, const char *class_name, double width, double height,
                  const char *label);
void nn_svg_end(nn_text *out);
void nn_svg_line(nn_text *out, const char *class_name, double x1, double y1, double x2, double y2);
/* The baseline is `lines` of the text's lines below y. */
void nn_svg_text(nn_text *out, double x, double y, double lines, const char *class_name,
                 const char *text);

/* Pixel of a value, clipped to just outside of the rectangle. */
double nn_plot_x(const nn_plot *plot, double x);
double nn_plot_y(const nn_plot *plot, double y);

/* Frame, ticks at round numbers, grid lines and names of the axes (NULL: no ticks either, "": ticks
 * only). Distances of texts from the frame are in units of their size, which is the style
 * sheet's. */
void nn_plot_axes(const nn_plot *plot, const char *x_name, const char *y_name);
void nn_plot_line(const nn_plot *plot, const char *class_name, const double *x, const double *y,
                  size_t count);
/* The area between a line and the bottom. */
void nn_plot_area(const nn_plot *plot, const char *class_name, const double *x, const double *y,
                  size_t count);
void nn_plot_level(const nn_plot *plot, const char *class_name, double y, const char *name);
/* A bar around x, from the bottom to y; `title` shows when the pointer rests on it. */
void nn_plot_bar(const nn_plot *plot, const char *class_name, double x, double width, double y,
                 const char *title);
void nn_plot_dot(const nn_plot *plot, const char *class_name, double x, double y, double radius,
                 const char *title);
/* A triangle on the lower edge: here is something below the axis' range. */
void nn_plot_below(const nn_plot *plot, const char *class_name, double x, const char *title);

#endif
