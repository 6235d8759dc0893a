// SPDX-License-Identifier: MIT
/*
 * nbody.c - two galaxies meet: many launches in a row, and a picture
 *
 *   cc -O2 nbody.c $(pkg-config --cflags --libs vgpufront) -lm
 *   ./a.out -k nbody.ptx -o nbody.ppm
 *
 * All bodies attract each other, n * n pairs a step, 1,500 steps. Each
 * step reads the places from one memory and writes them to another; the next
 * goes the other way. The stream keeps them in order, so nobody waits for
 * anybody between steps; and from vgpu_batch_begin() to vgpu_batch_end() the
 * requests travel by dozens, one system call for all of them.
 *
 * How do we know that it is right?
 * - A smaller crowd takes some steps on the GPU and, in binary64, here. The places
 *   must agree to CHECK_TOLERANCE; one body left out would show.
 * - What attracts and flies freely keeps its energy. After the whole run it must
 *   be what it was, to ENERGY_TOLERANCE. That catches what a short run does not.
 *
 * Half of the bodies belong to each galaxy, the first of them is its heavy core.
 * Light ones circle the core, and are drawn out to tails when the other passes.
 */
#include <math.h>

#include "example.h"

#define THREADS 128u /* of a block, as in nbody.cu */
#define EPS 0.05f
#define DT 0.005f
#define STEPS 1500u
#define CORE 1.0f /* mass of a core; of all others of a galaxy: */
#define DISC 0.15f
#define ENERGY_TOLERANCE 0.02
#define CHECK_BODIES 1000u
#define CHECK_STEPS 16u
#define CHECK_DT 0.02f
#define CHECK_TOLERANCE 1e-5

#define WIDTH 1280
#define HEIGHT 800
#define SCALE 145.0f /* pixels a unit of length */

/* As in nbody.cu; w is the mass, or nothing. */
struct float4 {
	float x, y, z, w;
};

struct bodies {
	unsigned int n;
	struct float4 *at, *velocity;
};

static float uniform(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return (float)(*seed >> 8) * 0x1p-24f;
}

static struct bodies allocate(struct example *ex, unsigned int n)
{
	return (struct bodies){
		.n = n,
		.at = example_memory(ex, n * sizeof(struct float4)),
		.velocity = example_memory(ex, n * sizeof(struct float4)),
	};
}

/* Turned about the x axis. */
static struct float4 tilted(struct float4 v, float angle)
{
	const float c = cosf(angle), s = sinf(angle);

	return (struct float4){v.x, c * v.y - s * v.z, s * v.y + c * v.z, v.w};
}

static struct float4 sum(struct float4 a, struct float4 b)
{
	return (struct float4){a.x + b.x, a.y + b.y, a.z + b.z, a.w};
}

/* A disc of bodies that circle a core, all of it moving. */
static void galaxy(const struct bodies *b, unsigned int first, unsigned int end,
		   float angle, struct float4 at, struct float4 velocity,
		   uint32_t seed)
{
	unsigned int i;

	for (i = first; i < end; i++) {
		const float part = uniform(&seed);
		const float r = 0.07f + 0.95f * part;
		const float turn = 6.2831853f * uniform(&seed);
		const float inside = CORE + DISC * part;
		/* What is pulled like that circles at this speed. */
		const float v =
			r * sqrtf(inside / powf(r * r + EPS * EPS, 1.5f));
		struct float4 p = {r * cosf(turn), r * sinf(turn),
				   0.04f * (uniform(&seed) - 0.5f),
				   DISC / (float)(end - first)};
		struct float4 q = {-v * sinf(turn), v * cosf(turn), 0, 0};

		if (i == first) {
			p = (struct float4){0, 0, 0, CORE};
			q = (struct float4){0, 0, 0, 0};
		}
		b->at[i] = sum(tilted(p, angle), at);
		b->velocity[i] = sum(tilted(q, angle), velocity);
	}
}

/* On their way to each other, so that they fall past and are not bound. */
static void two_galaxies(const struct bodies *b)
{
	const struct float4 at = {2.6f, 1.1f, 0, 0};
	const struct float4 velocity = {-0.42f, 0.06f, 0, 0};
	const struct float4 minus_at = {-at.x, -at.y, 0, 0};
	const struct float4 minus_velocity = {-velocity.x, -velocity.y, 0, 0};

	galaxy(b, 0, b->n / 2, 0.25f, at, velocity, 1);
	galaxy(b, b->n / 2, b->n, -0.7f, minus_at, minus_velocity, 2);
}

/* Anywhere in a cube, at rest, of the same mass. */
static void crowd(const struct bodies *b)
{
	uint32_t seed = 3;
	unsigned int i;

	for (i = 0; i < b->n; i++) {
		b->at[i].x = uniform(&seed);
		b->at[i].y = uniform(&seed);
		b->at[i].z = uniform(&seed);
		b->at[i].w = 1.0f / (float)b->n;
		b->velocity[i] = (struct float4){0, 0, 0, 0};
	}
}

/* Steps on the GPU; the result takes the place of what was there. */
static int64_t run(struct example *ex, struct vgpu_function *step,
		   const struct bodies *b, unsigned int steps, float dt)
{
	const size_t size = b->n * sizeof(struct float4);
	const struct vgpu_dim grid =
		example_dim((b->n + THREADS - 1) / THREADS, 1);
	struct vgpu_mem *at[2], *velocity;
	struct vgpu_event *start, *end;
	uint64_t address[2], velocity_address;
	unsigned int n = b->n, i;
	float eps2 = EPS * EPS;
	int64_t ns;

	for (i = 0; i < 2; i++) {
		example_must(ex, vgpu_mem_alloc(ex->dev, size, 0, &at[i]),
			     "memory for places");
		example_must(ex, vgpu_mem_address(at[i], &address[i]),
			     "memory for places");
	}
	example_must(ex, vgpu_mem_alloc(ex->dev, size, 0, &velocity),
		     "memory for velocities");
	example_must(ex, vgpu_mem_address(velocity, &velocity_address),
		     "memory for velocities");
	example_must(ex, vgpu_event_create(ex->dev, &start),
		     "vgpu_event_create");
	example_must(ex, vgpu_event_create(ex->dev, &end), "vgpu_event_create");
	example_must(ex,
		     vgpu_copy_in(ex->dev, vgpu_at(at[0], 0), b->at, size, 0),
		     "vgpu_copy_in");
	example_must(ex,
		     vgpu_copy_in(ex->dev, vgpu_at(velocity, 0), b->velocity,
				  size, 0),
		     "vgpu_copy_in");

	vgpu_batch_begin(ex->dev);
	example_must(ex, vgpu_event_record(start, 0), "vgpu_event_record");
	for (i = 0; i < steps; i++) {
		void *params[] = {&n,
				  &dt,
				  &eps2,
				  &address[i % 2],
				  &address[(i + 1) % 2],
				  &velocity_address};

		example_must(ex,
			     vgpu_launch(step, grid, example_dim(THREADS, 1), 0,
					 0, params),
			     "vgpu_launch");
	}
	example_must(ex, vgpu_event_record(end, 0), "vgpu_event_record");
	example_must(ex, vgpu_batch_end(ex->dev), "vgpu_batch_end");

	example_must(ex,
		     vgpu_copy_out(ex->dev, b->at, vgpu_at(at[steps % 2], 0),
				   size, 0),
		     "vgpu_copy_out");
	example_must(ex,
		     vgpu_copy_out(ex->dev, b->velocity, vgpu_at(velocity, 0),
				   size, 0),
		     "vgpu_copy_out");
	example_must(ex, vgpu_fence(ex->dev, 0), "vgpu_fence");
	example_must(ex, vgpu_event_elapsed(start, end, &ns),
		     "vgpu_event_elapsed");
	vgpu_event_destroy(start);
	vgpu_event_destroy(end);
	vgpu_mem_free(at[0], 0);
	vgpu_mem_free(at[1], 0);
	vgpu_mem_free(velocity, 0);
	return ns;
}

/* x, y, z of a body in binary64. */
struct place {
	double at[3], velocity[3];
};

static void pull(const struct bodies *b, const struct place *all,
		 const struct place *one, double acceleration[3])
{
	unsigned int i, k;

	for (i = 0; i < b->n; i++) {
		double d[3], r2 = (double)EPS * EPS;

		for (k = 0; k < 3; k++) {
			d[k] = all[i].at[k] - one->at[k];
			r2 += d[k] * d[k];
		}
		for (k = 0; k < 3; k++)
			acceleration[k] += b->at[i].w * d[k] / (r2 * sqrt(r2));
	}
}

/* The same steps here, from the state in b. */
static struct place *reference(struct example *ex, const struct bodies *b)
{
	struct place *now = example_memory(ex, b->n * sizeof(*now));
	struct place *next = example_memory(ex, b->n * sizeof(*next));
	unsigned int i, k, step;

	for (i = 0; i < b->n; i++)
		now[i] = (struct place){
			.at = {b->at[i].x, b->at[i].y, b->at[i].z},
		};
	for (step = 0; step < CHECK_STEPS; step++) {
		for (i = 0; i < b->n; i++) {
			double acceleration[3] = {0};

			pull(b, now, &now[i], acceleration);
			next[i] = now[i];
			for (k = 0; k < 3; k++) {
				next[i].velocity[k] +=
					acceleration[k] * CHECK_DT;
				next[i].at[k] += next[i].velocity[k] * CHECK_DT;
			}
		}
		memcpy(now, next, b->n * sizeof(*now));
	}
	free(next);
	return now;
}

/* How far the GPU and we come apart, at most. */
static double check_steps(struct example *ex, struct vgpu_function *step)
{
	struct bodies b = allocate(ex, CHECK_BODIES);
	struct place *right;
	double far, worst = 0;
	unsigned int i;

	crowd(&b);
	right = reference(ex, &b);
	run(ex, step, &b, CHECK_STEPS, CHECK_DT);
	for (i = 0; i < b.n; i++) {
		far = fabs(b.at[i].x - right[i].at[0]) +
		      fabs(b.at[i].y - right[i].at[1]) +
		      fabs(b.at[i].z - right[i].at[2]);
		/* Written so that a NaN is the worst. */
		worst = far <= worst ? worst : far;
	}
	free(right);
	free(b.at);
	free(b.velocity);
	return worst;
}

static double energy(const struct bodies *b)
{
	double total = 0;
	unsigned int i, j;

	for (i = 0; i < b->n; i++) {
		const struct float4 *p = &b->at[i], *v = &b->velocity[i];

		total += 0.5 * p->w *
			 ((double)v->x * v->x + (double)v->y * v->y +
			  (double)v->z * v->z);
		for (j = 0; j < i; j++) {
			const double dx = b->at[j].x - p->x;
			const double dy = b->at[j].y - p->y;
			const double dz = b->at[j].z - p->z;

			total -= (double)p->w * b->at[j].w /
				 sqrt(dx * dx + dy * dy + dz * dz +
				      (double)EPS * EPS);
		}
	}
	return total;
}

/* A body gives light to the pixels around it: a point, and a haze around. */
static void shine(float (*light)[3], float x, float y, float size,
		  const float colour[3])
{
	const int reach = (int)(8 * size);
	const int left = (int)floorf(x) - reach, top = (int)floorf(y) - reach;
	int px, py, k;

	if (!(left >= 0 && left + 2 * reach < WIDTH && top >= 0 &&
	      top + 2 * reach < HEIGHT))
		return;
	for (py = top; py <= top + 2 * reach; py++)
		for (px = left; px <= left + 2 * reach; px++) {
			const float dx = ((float)px - x) / size;
			const float dy = ((float)py - y) / size;
			const float r2 = dx * dx + dy * dy;
			const float glow =
				size * (expf(-r2) + 0.07f * expf(-r2 / 12));

			for (k = 0; k < 3; k++)
				light[py * WIDTH + px][k] += glow * colour[k];
		}
}

/* A PPM: a line of text, then red, green and blue, a byte each. */
static void draw(struct example *ex, const struct bodies *b)
{
	static const float colours[2][3] = {{1, 0.62f, 0.32f},
					    {0.34f, 0.62f, 1}};
	static float light[WIDTH * HEIGHT][3];
	const float bright = 0.45f * sqrtf(16384.0f / (float)b->n);
	FILE *f = fopen(ex->output, "wb");
	unsigned int i, k;

	if (!f)
		example_failed(ex, "%s: %s", ex->output, strerror(errno));
	for (i = 0; i < b->n; i++)
		shine(light, WIDTH / 2 + SCALE * b->at[i].x,
		      HEIGHT / 2 - SCALE * b->at[i].y,
		      b->at[i].w == CORE ? 5 : 1, colours[i >= b->n / 2]);
	fprintf(f, "P6 %d %d 255\n", WIDTH, HEIGHT);
	for (i = 0; i < WIDTH * HEIGHT; i++)
		for (k = 0; k < 3; k++)
			fputc((int)(255.0f * (1 - expf(-bright * light[i][k]))),
			      f);
	if (ferror(f) | fclose(f))
		example_failed(ex, "%s: cannot write", ex->output);
}

int main(int argc, char **argv)
{
	struct example ex = {
		.name = "nbody",
		.n_is = "bodies",
		.n = 16384,
		.min_n = 256,
		.max_n = 262144,
		.output = "nbody.ppm",
	};
	struct vgpu_function *step;
	struct bodies b;
	double before, drift, apart;
	int64_t ns;

	example_begin(&ex, argc, argv);
	step = example_function(&ex, example_load(&ex), "nbody_step");
	apart = check_steps(&ex, step);
	if (!(apart <= CHECK_TOLERANCE))
		example_failed(&ex, "%u bodies are up to %g off after %u steps",
			       CHECK_BODIES, apart, CHECK_STEPS);
	b = allocate(&ex, ex.n);
	two_galaxies(&b);
	before = energy(&b);
	ns = run(&ex, step, &b, STEPS, DT);
	drift = fabs(energy(&b) / before - 1);
	draw(&ex, &b);
	printf("%u steps of %u bodies: %.0f ms, %.1f thousand million pairs a second\n",
	       STEPS, ex.n, (double)ns / 1e6,
	       (double)ex.n * ex.n * STEPS / (double)(ns > 0 ? ns : 1));
	printf("picture: %s\n", ex.output);
	vgpu_close(ex.dev);
	if (!(drift <= ENERGY_TOLERANCE))
		example_failed(&ex, "energy is %.2f %% off", 100 * drift);
	example_passed(&ex, "places to %.1e, energy to %.2f %%", apart,
		       100 * drift);
}
